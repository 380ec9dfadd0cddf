// Finds a Chromium that has WebGPU, and the SwiftShader inside it for Node: the system's, else Debian's package,
// else Playwright's own download.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const SYSTEM_PATHS = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:/Program Files/Google/Chrome/Application/chrome.exe',
];

/** Flags under which a headless Chromium has WebGPU without a GPU and keeps to itself. */
export const chromiumFlags = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** The path of a Chromium that is there, or null. */
export function findChromium() {
  const own = process.env.FLOE_CHROMIUM;
  if (own) return own;
  return SYSTEM_PATHS.find((path) => existsSync(path)) ?? playwrightChromium();
}

function playwrightChromium() {
  try {
    const require = createRequire(join(root, 'e2e/package.json'));
    const path = createRequire(require.resolve('@playwright/test'))('playwright-core').chromium.executablePath();
    return existsSync(path) ? path : null;
  } catch {
    return null;
  }
}

/** Installs a Chromium where there is none; returns its path. */
export function ensureChromium() {
  const found = findChromium();
  if (found) return found;
  const isRoot = process.getuid?.() === 0;
  if (isRoot && existsSync('/usr/bin/apt-get')) {
    console.log('Installing Chromium (apt-get install chromium) …');
    try {
      execFileSync('apt-get', ['update', '-qq'], { stdio: 'inherit' });
      execFileSync('apt-get', ['install', '-y', '-qq', 'chromium'], { stdio: ['ignore', 'ignore', 'inherit'] });
      const installed = findChromium();
      if (installed) return installed;
    } catch (error) {
      console.log(`apt-get could not install it (${error.message}); trying Playwright's own download.`);
    }
  }
  console.log('Downloading Chromium (playwright install chromium) …');
  execFileSync('npx', ['playwright', 'install', 'chromium'], { cwd: join(root, 'e2e'), stdio: 'inherit' });
  const downloaded = findChromium();
  if (!downloaded) throw new Error('No Chromium could be installed. Install one and set FLOE_CHROMIUM to its path.');
  return downloaded;
}

/** Environment under which Node's `webgpu` finds a Vulkan: the system's own GPU, else Chromium's SwiftShader. */
export function vulkanEnv() {
  if (process.env.VK_ICD_FILENAMES || process.env.FLOE_SYSTEM_VULKAN || process.platform !== 'linux' || hasGpuDriver())
    return {};
  const chromium = findChromium();
  const dir = ['/usr/lib/chromium', '/opt/google/chrome', chromium && dirname(chromium)].find(
    (path) => path && existsSync(join(path, 'vk_swiftshader_icd.json')),
  );
  if (!dir) return {};
  const icd = join(dir, 'vk_swiftshader_icd.json');
  const libraries = [dir, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':');
  return { VK_ICD_FILENAMES: icd, VK_DRIVER_FILES: icd, LD_LIBRARY_PATH: libraries };
}

/** True where the kernel offers a render node, so that the system's Vulkan driver is worth asking. */
function hasGpuDriver() {
  return (
    existsSync('/dev/nvidiactl') ||
    (existsSync('/dev/dri') && readdirSync('/dev/dri').some((f) => f.startsWith('renderD')))
  );
}
