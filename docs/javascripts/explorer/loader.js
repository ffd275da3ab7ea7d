/* The explorer comes when the reader comes near it: no first screen pays for it. */
const near = new IntersectionObserver(
  (seen) => {
    if (!seen.some((one) => one.isIntersecting)) return
    near.disconnect()
    import("./explorer.js")
  },
  { rootMargin: "100%" },
)
document.querySelectorAll("init-explorer").forEach((one) => near.observe(one))
