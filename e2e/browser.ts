/** The browser the tests run in: one with WebGPU, be it on the processor. */
import { chromiumFlags, findChromium } from '@floe/devkit/chromium.mjs';

export const launchOptions: { executablePath: string; args: string[] } = {
  executablePath: findChromium() ?? '',
  // The old headless mode has no GPU process.
  args: [...chromiumFlags, '--headless=new'],
};
