/* A quiz is folded answers: opened, each says whether it is right. This script adds the score. The first choice that a
   reader opens is the answer to its question; it is kept in this browser alone, and only once there is one. */
const quiz = document.querySelector("[data-quiz]")
const questions = [...quiz.querySelectorAll(".quiz-question")].map((element) => ({
  element,
  id: element.dataset.question,
  choices: [...element.querySelectorAll(".choice")],
}))
const place = `quiz ${quiz.dataset.quiz}`
let answers = recall()

function recall() {
  try {
    return { ...JSON.parse(localStorage.getItem(place)) }
  } catch {
    return {} // no storage, or not ours
  }
}

function keep() {
  try {
    if (Object.keys(answers).length) localStorage.setItem(place, JSON.stringify(answers))
    else localStorage.removeItem(place)
  } catch {
    // The score then lasts as long as the page.
  }
}

const isRight = (choice) => choice.classList.contains("right")
/* A choice is known by its words: an answer to a question that was worded anew no longer counts. */
const words = (choice) => choice.querySelector("summary").textContent.trim()
const picked = ({ id, choices }) => choices.find((choice) => words(choice) === answers[id])

const bar = document.createElement("div")
bar.className = "quiz-score"
bar.hidden = true
bar.innerHTML = '<p role="status"></p><button type="button">Start again</button>'
quiz.append(bar)
const [status, again] = bar.children

function show(said = "") {
  const answered = questions.filter(picked)
  for (const question of questions) {
    question.element.classList.toggle("answered", answered.includes(question))
    for (const choice of question.choices) choice.classList.toggle("picked", choice === picked(question))
  }
  bar.hidden = !answered.length
  const right = answered.filter((question) => isRight(picked(question))).length
  const left = questions.length - answered.length
  status.textContent = `${said}${right} of ${answered.length} right${left ? `, ${left} to go` : ": all answered"}.`
}

for (const question of questions) {
  for (const choice of question.choices) {
    choice.addEventListener("toggle", () => {
      if (!choice.open || picked(question)) return
      answers[question.id] = words(choice)
      keep()
      show(isRight(choice) ? "Right. " : "Wrong. ")
    })
  }
}

again.addEventListener("click", () => {
  answers = {}
  keep()
  for (const { choices } of questions) for (const choice of choices) choice.open = false
  show()
  questions[0].choices[0].querySelector("summary").focus()
})

show()
