/* The explorer and what there is to play with come when the reader comes near: no first screen pays for them. */
function whenNear(selector, begin) {
  const near = new IntersectionObserver(
    (seen) => {
      for (const { isIntersecting, target } of seen) {
        if (!isIntersecting) continue
        near.unobserve(target)
        begin(target)
      }
    },
    { rootMargin: "10%" },
  )
  document.querySelectorAll(selector).forEach((one) => near.observe(one))
}

whenNear("init-explorer", () => import("./explorer.js"))
whenNear("[data-play]", async (place) => {
  const [{ begin }, play] = await Promise.all([import("../play/play.js"), import(`../play/${place.dataset.play}.js`)])
  begin(place, play)
})
