/**
 * The page, put together. `?model=<address>` loads that model (from another origin only after a click),
 * `?ask=<question>` then asks it, and `?limits=default` runs as on a device that offers no more than WebGPU's defaults.
 */
import { Chat } from './chat.ts';
import { Composer } from './composer.ts';
import { installExpertsPanel } from './expertsPanel.ts';
import { installLoadProgress } from './loadProgress.ts';
import { installModelFacts } from './modelFacts.ts';
import { installModelPicker } from './modelPicker.ts';
import { isOwn, sourceOf } from './models.ts';
import { Session } from './session.ts';
import { Store } from './state.ts';
import { installTables } from './tables.ts';
import { installTheme } from './theme.ts';
import { installTrustedTypes } from './trustedTypes.ts';
import { checkWebGpu } from './webgpu.ts';

const query = new URLSearchParams(location.search);
const session = new Session(new Store(), query.get('limits') === 'default' ? 'default' : null);

installTrustedTypes();
installTheme();
const picker = installModelPicker(session);
installLoadProgress(session);
installModelFacts(session);
installExpertsPanel(session);

const chat = new Chat(
  session,
  () => tables.settings(),
  (question) => composer.draft(question),
);
const tables = installTables(session, (sample) => chat.offer(sample));
const composer = new Composer(session, (question) => void chat.ask(question));

void start();

async function start(): Promise<void> {
  if (!(await checkWebGpu())) return;
  const [model, question] = [query.get('model'), query.get('ask')];
  if (question) composer.draft(question);
  if (!model) return;
  const source = sourceOf(model);
  if (source.kind === 'url' && !isOwn(source)) await picker.offer(source);
  else await session.load(source);
  if (question && session.store.current.kind === 'ready') {
    composer.draft('');
    await chat.ask(question);
  }
}
