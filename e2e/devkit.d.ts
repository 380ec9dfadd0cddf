/** What the tests take from the devkit's programs, which are plain JavaScript. */
declare module '@floe/devkit/chromium.mjs' {
  export const chromiumFlags: readonly string[];
  export function findChromium(): string | null;
}
