/* What scrolls sideways (a table, a formula, code) can be scrolled with the keyboard: it takes the focus while, and
   only while, it is wider than its place. Reading does not need this script. */
const mayScroll = ".md-typeset__scrollwrap, .md-typeset pre > code, .md-typeset .katex-display, .md-typeset .arithmatex"

const watch = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const scrolls = target.scrollWidth > target.clientWidth && getComputedStyle(target).overflowX !== "visible"
    if (scrolls) target.tabIndex = 0
    else target.removeAttribute("tabindex")
  }
})

// Material wraps the tables when the document is ready, after this script has run.
addEventListener("load", () => document.querySelectorAll(mayScroll).forEach((element) => watch.observe(element)))

// Material puts each copy button into a <nav> without a name, when its code comes near. A page full of them is no map.
const unmark = () => document.querySelectorAll(".md-code__nav:not([role])").forEach((nav) => (nav.role = "none"))
new MutationObserver(unmark).observe(document.body, { childList: true, subtree: true })

// The button within the label of the menu answers to its keys as to a click.
document.querySelector(".menu-button")?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" && event.key !== " ") return
  event.preventDefault()
  event.target.click()
})
