"""The explorer's training against PyTorch, and the worker that runs it: order, cancelling, errors."""

import numpy as np
import pytest
from playwright.sync_api import Page

from snippets.laboratory import explorer
from snippets.laboratory.digits import load_digits
from snippets.laboratory.explorer import Settings
from tests.bench import explorer as bench_explorer

pytestmark = pytest.mark.browser

TRAININGS = [
    Settings(depth=6, width=32, scheme="he"),
    Settings(depth=4, width=30, activation="tanh", scheme="pytorch", distribution="uniform", bias="pytorch"),
    Settings(depth=5, width=24, batch_norm=True, bias=0.2, learning_rate=0.1),
    Settings(depth=5, width=48, activation="selu", scheme="lecun", distribution="orthogonal", skip=True),
    Settings(depth=3, width=80, activation="gelu", distribution="orthogonal", skip=True, batch_norm=True),
    Settings(depth=3, width=64, activation="leaky_relu", distribution="truncated", skip=True, branch_scale=0.3),
]


def train(page: Page, settings: Settings, steps: int) -> dict:
    return page.evaluate(
        """async ([settings, steps]) => {
            const { loadDigits, train } = await import("/javascripts/explorer/train.js")
            const { normalize } = await import("/javascripts/explorer/settings.js")
            const training = train(normalize(settings), steps, await loadDigits())
            for (;;) {
                const { done, value } = training.next()
                if (done) return value
            }
        }""",
        [settings._asdict(), steps],
    )


def test_digits_are_those_of_the_experiments(engine):
    found = engine.evaluate(
        """async () => {
            const { images, labels } = await (await import("/javascripts/explorer/train.js")).loadDigits()
            return { images: [...images], labels }
        }"""
    )
    data = load_digits()
    images = np.array(found["images"], dtype=np.float32).reshape(-1, 64)
    assert np.array_equal(images, np.concatenate([data.train_inputs, data.test_inputs]))
    assert found["labels"] == [*data.train_labels, *data.test_labels]


@pytest.mark.parametrize("number", range(len(TRAININGS)))
def test_loss_curve_in_float64(engine, number):
    settings = TRAININGS[number]._replace(precision="float64")
    losses, accuracy = explorer.train(settings, load_digits(), steps=30)
    found = train(engine, settings, steps=30)
    assert found["losses"] == pytest.approx(losses, rel=1e-8)
    assert found["accuracy"] == accuracy
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("number", range(len(TRAININGS)))
def test_loss_curve_in_float32(engine, number):
    losses, accuracy = explorer.train(TRAININGS[number], load_digits(), steps=15)
    found = train(engine, TRAININGS[number], steps=15)
    assert found["losses"] == pytest.approx(losses, rel=2e-3)
    assert found["accuracy"] == pytest.approx(accuracy, abs=1.5 / 360)


def test_xavier_stalls_where_he_learns(engine):
    stalls, learns = (train(engine, Settings(depth=10, scheme=scheme), steps=60) for scheme in ("xavier", "he"))
    assert np.mean(stalls["losses"][-10:]) > 2.2
    assert np.mean(learns["losses"][-10:]) < 1.5


def test_a_loss_beyond_float32_is_told(engine):
    losses = train(engine, Settings(depth=30, scheme="unit"), steps=3)["losses"]
    assert not np.isfinite(losses[1:]).any()


@pytest.fixture
def worker(engine):
    """A page with `say(message)`, which posts to a fresh worker, and `until(id, kinds)`, which awaits an answer."""
    engine.evaluate(
        """() => {
            window.heard = []
            const worker = new Worker("/javascripts/explorer/worker.js", { type: "module" })
            worker.onerror = (event) => heard.push({ kind: "crashed", message: event.message })
            worker.onmessage = ({ data }) => heard.push(data)
            window.say = (message) => worker.postMessage(message)
            window.until = async (id, kind) => {
                const match = (one) => one.id === id && one.kind === kind
                while (!heard.some(match)) {
                    const wrong = heard.find((one) => one.kind === "crashed" || (one.id === id && one.kind === "error"))
                    if (wrong) throw new Error(wrong.message)
                    await new Promise((resolve) => setTimeout(resolve, 5))
                }
                return heard.find(match)
            }
            window.stop = () => worker.terminate()
        }"""
    )
    yield engine
    engine.evaluate("stop()")


def heard(page: Page) -> list[tuple[int, str]]:
    return [(one.get("id"), one["kind"]) for one in page.evaluate("heard.map(({ id, kind }) => ({ id, kind }))")]


def test_the_worker_answers_a_pass(worker):
    settings = {"depth": "7", "width": 16, "activation": "tanh"}
    found = worker.evaluate(
        """async (settings) => {
            say({ id: 1, task: "pass", settings })
            return (await until(1, "pass")).result
        }""",
        settings,
    )
    expected = explorer.run(Settings(depth=7, width=16, activation="tanh"))
    rms = [h.square().mean().sqrt().item() for h in expected.activations]
    assert found["activation"]["rms"] == pytest.approx(rms, rel=1e-4)


def test_the_newest_pass_wins(worker):
    worker.evaluate(
        """async () => {
            for (let id = 1; id <= 20; id++) say({ id, task: "pass", settings: { depth: 10, seed: id } })
            await until(20, "pass")
        }"""
    )
    answered = heard(worker)
    assert answered[-1] == (20, "pass")
    assert len(answered) <= 3


def test_training_tells_each_step(worker):
    worker.evaluate(
        """async () => {
            say({ id: 1, task: "train", settings: { depth: 3, width: 16 }, steps: 12 })
            await until(1, "trained")
        }"""
    )
    assert heard(worker) == [*[(1, "progress")] * 12, (1, "trained")]
    losses = worker.evaluate("heard.slice(0, -1).map(({ step, loss }) => [step, loss])")
    assert losses == [list(pair) for pair in enumerate(worker.evaluate("heard.at(-1).losses"))]


def test_a_pass_runs_while_a_training_is_under_way(worker):
    worker.evaluate(
        """async () => {
            say({ id: 1, task: "train", settings: {}, steps: 1000 })
            await until(1, "progress")
            say({ id: 2, task: "pass", settings: {} })
            await until(2, "pass")
            while (heard.at(-1).kind !== "progress") await new Promise((resolve) => setTimeout(resolve, 5))
            say({ task: "cancel", id: 1 })
            await until(1, "canceled")
        }"""
    )
    answered = heard(worker)
    assert answered.count((2, "pass")) == 1
    assert answered[0] == (1, "progress")
    assert answered[-1] == (1, "canceled")


def test_two_trainings_take_turns(worker):
    worker.evaluate(
        """async () => {
            for (const id of [1, 2]) say({ id, task: "train", settings: { depth: 20 }, steps: 8 })
            await Promise.all([until(1, "trained"), until(2, "trained")])
        }"""
    )
    order = [who for who, kind in heard(worker) if kind == "progress"]
    assert order.count(1) == order.count(2) == 8
    assert order.index(2) < len(order) - 1 - order[::-1].index(1)


@pytest.mark.parametrize("when", ["at once", "under way"])
def test_a_canceled_training_falls_silent(worker, when):
    worker.evaluate(
        """async (when) => {
            say({ id: 1, task: "train", settings: { depth: 30 }, steps: 1000 })
            if (when === "under way") await until(1, "progress")
            say({ task: "cancel", id: 1 })
            await until(1, "canceled")
            say({ id: 2, task: "pass", settings: {} })
            await until(2, "pass")
            await new Promise((resolve) => setTimeout(resolve, 100))
        }""",
        when,
    )
    answered = heard(worker)
    assert answered[-2:] == [(1, "canceled"), (2, "pass")]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"task": "pass", "settings": {"depth": 101}}, "depth must be a whole number from 1 to 100; got 101"),
        ({"task": "pass", "settings": {"activation": "relu6"}}, "activation must be one of identity, sigmoid"),
        ({"task": "pass", "settings": {"gain": "much"}}, 'gain must be a number from 0.01 to 10; got "much"'),
        ({"task": "pass", "settings": {"lr": 1}}, 'there is no setting "lr"'),
        ({"task": "train", "settings": {"width": 2}, "steps": 5}, "width must be a whole number from 4 to 256; got 2"),
        ({"task": "train", "settings": {}, "steps": 0}, "steps must be a positive whole number; got 0"),
        ({"task": "sing", "settings": {}}, 'there is no task "sing"'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_errors_are_answers_and_the_worker_goes_on(worker, message, told):
    found = worker.evaluate(
        """async (message) => {
            say({ id: 1, ...message })
            while (!heard.length) await new Promise((resolve) => setTimeout(resolve, 5))
            say({ id: 2, task: "pass", settings: { depth: 2 } })
            await until(2, "pass")
            return heard[0]
        }""",
        message,
    )
    assert (found["id"], found["kind"]) == (1, "error")
    assert found["message"].startswith(told)


def test_digits_that_do_not_come_are_told_and_asked_for_again(worker):
    ask = """async ([id, kind]) => {
        say({ id, task: "train", settings: { depth: 1, width: 8 }, steps: 1 })
        const last = () => heard.find((one) => one.id === id && one.kind !== "progress")
        while (!last()) await new Promise((resolve) => setTimeout(resolve, 5))
        return last()
    }"""
    worker.context.route("**/digits.json", lambda route: route.fulfill(status=503, body=""))
    found = worker.evaluate(ask, [1, "error"])
    assert (found["kind"], found["message"]) == ("error", "the digits did not come: 503")
    worker.context.unroute("**/digits.json")
    assert worker.evaluate(ask, [2, "trained"])["kind"] == "trained"


def test_the_benchmark_times_passes_of_the_worker(engine, monkeypatch):
    monkeypatch.setattr(bench_explorer, "SIZES", ((2, 8, 100),))
    rows = bench_explorer.engine_rows(engine)
    assert [(row.what, row.budget) for row in rows] == [
        ("explorer: pass 2 x 8, new gain", 100),
        ("explorer: pass 2 x 8, new seed", 100),
    ]
    assert all(0 < row.value < 10_000 for row in rows)
