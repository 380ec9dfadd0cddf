/** Says before the first click what this browser lacks, and what to do about it. */
import { byId, el } from './dom.ts';

interface Lack {
  readonly what: string;
  readonly remedies: readonly string[];
}

const BROWSERS =
  'Use a browser that has WebGPU: Chrome or Edge 113 or later, Safari 26 or later, Firefox 141 or later (on Windows; on a Mac with Apple silicon, 145).';
const FLAGS =
  'In Chrome on Linux, or where the graphics card is on a block list: open chrome://flags, enable “Unsafe WebGPU Support” (and “Vulkan”), and start the browser again.';
const ACCELERATION =
  'See that hardware acceleration is on in the browser’s settings (chrome://gpu tells), and that the graphics driver is current.';

/** What is missing for WebGPU here, or null. */
async function findLack(): Promise<Lack | null> {
  if (!isSecureContext) {
    return {
      what: 'This page was opened over an insecure address, where browsers hide WebGPU.',
      remedies: ['Open it through https://, or as http://localhost.'],
    };
  }
  if (!navigator.gpu) {
    return { what: 'This browser has no WebGPU: navigator.gpu is missing.', remedies: [BROWSERS, FLAGS] };
  }
  if (!(await navigator.gpu.requestAdapter().catch(() => null))) {
    return { what: 'This browser has WebGPU, but it offers no graphics adapter.', remedies: [ACCELERATION, FLAGS] };
  }
  return null;
}

/** Shows the banner where something is missing; the models then can't be loaded. True where all is well. */
export async function checkWebGpu(): Promise<boolean> {
  const lack = await findLack();
  if (!lack) return true;
  const banner = byId('no-webgpu', HTMLElement);
  banner.replaceChildren(
    el('h2', {}, 'Floe can’t compute here'),
    el('p', {}, lack.what),
    el('ul', {}, ...lack.remedies.map((remedy) => el('li', {}, remedy))),
    el('p', { class: 'error-foot' }, el('code', {}, 'gpu/unavailable')),
  );
  banner.hidden = false;
  for (const control of document.querySelectorAll<HTMLButtonElement | HTMLInputElement>(
    '#picker button, #picker input',
  )) {
    control.disabled = true;
  }
  return false;
}
