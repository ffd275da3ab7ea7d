/** The style sheet of the explorer and of what there is to play with: kept when it is there, or cannot be had. */
const href = new URL("../../stylesheets/explorer.css", import.meta.url).href

export const sheet = new Promise((resolve) => {
  const link = { rel: "stylesheet", href, onload: resolve, onerror: resolve }
  document.head.append(Object.assign(document.createElement("link"), link))
})
