/* The explorer and what there is to play with come when the reader sees their place: no first screen pays for them. */
function whenSeen(selector, begin) {
  const watch = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) {
      if (!isIntersecting) continue
      watch.unobserve(target)
      begin(target)
    }
  })
  document.querySelectorAll(selector).forEach((one) => watch.observe(one))
}

whenSeen("init-explorer", () => import("./explorer.js"))
whenSeen("[data-play]", async (place) => {
  const [{ begin }, play] = await Promise.all([import("../play/play.js"), import(`../play/${place.dataset.play}.js`)])
  begin(place, play)
})
