/** The experts' panel: where they are, what moving them cost, and how many may be on the GPU. Only for models that have some. */
import type { ExpertsReport } from 'floe';
import { byId } from './dom.ts';
import { budgetAt, budgetInWords, positionOf } from './expertBudget.ts';
import { ExpertsView } from './expertsView.ts';
import type { Session } from './session.ts';
import { loaded } from './state.ts';

/** After the last move of the slider: with arrow keys each step is a move, and each load would be one too many. */
const SETTLED_MS = 400;
/** Experts go on coming into memory behind a load: looked at until nothing changes. */
const LOOK_MS = 700;
const HINT = 'Let go, and the model is loaded again with that many experts on the GPU. Its answers stay the same.';
const BUSY_HINT = 'The model is loaded again, from what is stored. The conversation is kept.';

export function installExpertsPanel(session: Session): void {
  const panel = byId('experts-panel', HTMLDetailsElement);
  const brief = byId('experts-brief', HTMLElement);
  const hint = byId('gpu-budget-hint', HTMLElement);
  const view = new ExpertsView();
  const slider = installSlider(session);
  let wasShown = false;
  let nextLook: number | null = null;
  const lookSoon = (): void => {
    if (nextLook !== null) return;
    nextLook = window.setTimeout(() => {
      nextLook = null;
      void session.lookAtExperts();
    }, LOOK_MS);
  };

  const place = (): void => {
    const state = session.store.current;
    const isLoaded = loaded(state) !== null;
    // While the same model comes again the panel stays: what was there is dimmed, not gone.
    const comesAgain = (state.kind === 'unloading' || state.kind === 'loading') && !panel.hidden;
    panel.hidden = session.experts.latest === null || !(isLoaded || comesAgain);
    panel.ariaBusy = String(!isLoaded);
    slider.disabled = state.kind !== 'ready';
    hint.textContent = state.kind === 'loading' ? BUSY_HINT : HINT;
    if (panel.hidden || wasShown) return;
    // On a phone the conversation is further down: what stands before it stays short.
    panel.open = matchMedia('(min-width: 861px)').matches;
    wasShown = true;
  };
  panel.addEventListener('toggle', () => view.drawSoon());
  session.store.subscribe((state, before) => {
    if (state.kind === 'answering' && before.kind !== 'answering') view.answerBegins();
    place();
    view.drawSoon();
  });
  session.experts.subscribe((report, isFirst) => {
    if (!report) return;
    const moved = view.show(report, isFirst);
    brief.textContent = `${report.nSlots.toLocaleString('en')} of ${report.places.length.toLocaleString('en')} on the GPU`;
    if (isFirst) slider.show(report);
    if (moved) lookSoon();
  });
  session.arriving.subscribe((stored) => {
    if (stored) lookSoon();
  });
}

/** The slider and what it says; it acts when it has come to rest. */
function installSlider(session: Session): { show: (report: ExpertsReport) => void; disabled: boolean } {
  const slider = byId('gpu-budget', HTMLInputElement);
  const value = byId('gpu-budget-value', HTMLOutputElement);
  let sizes: ExpertsReport | null = null;
  let settles = 0;
  const say = (): void => {
    if (!sizes) return;
    const words = budgetInWords(slider.valueAsNumber, sizes);
    value.value = words;
    slider.ariaValueText = words;
  };
  const show = (report: ExpertsReport): void => {
    sizes = report;
    slider.valueAsNumber = positionOf(report);
    say();
  };
  slider.addEventListener('input', () => {
    clearTimeout(settles);
    say();
  });
  const settle = async (): Promise<void> => {
    if (!sizes || slider.valueAsNumber === positionOf(sizes)) return;
    // Disabled for the time of the load, it would lose the focus.
    const hadFocus = document.activeElement === slider;
    await session.loadWithin(budgetAt(slider.valueAsNumber));
    // Refused where an answer had begun in the meantime: it shows what is, not what was wished.
    show(sizes);
    if (hadFocus) slider.focus({ preventScroll: true });
  };
  slider.addEventListener('change', () => {
    clearTimeout(settles);
    settles = window.setTimeout(() => void settle(), SETTLED_MS);
  });
  return {
    show,
    set disabled(is: boolean) {
      slider.disabled = is;
    },
  };
}
