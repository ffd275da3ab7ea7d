/** The settings as a program: the file that the page offers for download, with these values in it. */

const python = (value) => (typeof value === "boolean" ? { true: "True", false: "False" }[value] : JSON.stringify(value))

/**
 * @param {"pytorch"|"keras"} framework
 * @param {import("./types.js").Settings} settings
 */
export async function code(framework, settings) {
  const answer = await fetch(new URL(`../../downloads/diagnostics/first_pass_${framework}.py`, import.meta.url))
  if (!answer.ok) throw new Error(`the program did not come: ${answer.status}`)
  const entry = /^( {4}"(\w+)": )[^,\n]+/gm
  return (await answer.text()).replace(entry, (line, start, name) => (name in settings ? start + python(settings[name]) : line))
}
