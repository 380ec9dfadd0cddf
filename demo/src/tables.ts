/** The system message: for the bundled model a schema, with examples to start from; for others whatever they take. */
import { button, byId } from './dom.ts';
import { type Sample, samples } from './samples.ts';
import type { Session } from './session.ts';
import { type Loaded, onOtherModel } from './state.ts';

export interface Settings {
  readonly system: string;
  readonly singleTurn: boolean;
  readonly temperature: number;
}

/** The bundled model, and others that call themselves so. */
function writesSql({ source, model }: Loaded): boolean {
  return source.kind === 'bundled' || /\bsql\b/i.test(model.info.name);
}

/** The panel's questions go to the conversation when another example is chosen. */
export function installTables(
  session: Session,
  onSample: (sample: Sample | null) => void,
): { settings: () => Settings } {
  const system = byId('schema', HTMLTextAreaElement);
  const hint = byId('schema-hint', HTMLElement);
  const singleTurn = byId('single-turn', HTMLInputElement);
  const temperature = byId('temperature', HTMLInputElement);
  const temperatureText = byId('temperature-value', HTMLOutputElement);

  const choose = (sample: Sample | null): void => {
    for (const [i, choice] of choices.entries()) choice.setAttribute('aria-pressed', String(samples[i] === sample));
    onSample(sample);
  };
  const choices = samples.map((sample) =>
    button(sample.name, {
      testid: `sample-${sample.name.toLowerCase()}`,
      onclick: () => {
        system.value = sample.schema;
        choose(sample);
      },
    }),
  );
  byId('samples', HTMLElement).replaceChildren(...choices);
  system.value = samples[0].schema;
  choose(samples[0]);
  // The questions stay while the example's tables are only added to.
  system.addEventListener('input', () => choose(samples.find(({ schema }) => system.value.includes(schema)) ?? null));

  const showTemperature = (): void => {
    temperatureText.value = Number(temperature.value) === 0 ? '0, always the likeliest' : temperature.value;
  };
  temperature.addEventListener('input', showTemperature);

  /** A model's own ways, whenever another one is loaded. */
  const adopt = (forSql: boolean): void => {
    singleTurn.checked = forSql;
    temperature.value = forSql ? '0' : '0.7';
    showTemperature();
    byId('system-name', HTMLElement).textContent = forSql ? 'Your tables' : 'System message';
    byId('schema-label', HTMLElement).textContent = forSql ? 'CREATE TABLE statements' : 'System message';
    byId('chat-name', HTMLElement).textContent = forSql ? 'Ask, get SQL' : 'Chat';
    hint.textContent = forSql
      ? 'Paste your own CREATE TABLE lines: each question is asked with them alone, as the model was trained.'
      : 'Goes before the conversation. Leave it empty to send none.';
  };
  adopt(true);
  onOtherModel(session.store, (now) => adopt(writesSql(now)));

  return {
    settings: () => ({
      system: system.value.trim(),
      singleTurn: singleTurn.checked,
      temperature: Number(temperature.value),
    }),
  };
}
