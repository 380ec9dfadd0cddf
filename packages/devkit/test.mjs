// `npm test`: installs what is missing, then types, lint, unit and model tests, the build, and the browser tests.
// Every phase runs, whatever the one before it did; the last line printed is the count of all of them.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { vulkanEnv } from './chromium.mjs';
import { setup } from './setup.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const output = join(root, 'test-output');
const VITEST_JSON = join(output, 'vitest.json');
const E2E_JSON = join(output, 'e2e.json');
const MINUTE_MS = 60_000;

/**
 * A phase is commands run in order until one fails, and where its count is read from (null: it is itself the count).
 * `needs` is what has to be in the tree for the phase to mean something.
 */
const phases = [
  { name: 'types', commands: [['node_modules/typescript/bin/tsc', '--noEmit']], limitMs: 5 * MINUTE_MS },
  { name: 'lint', commands: [['node_modules/@biomejs/biome/bin/biome', 'check']], limitMs: 5 * MINUTE_MS },
  {
    name: 'unit and model tests',
    commands: [
      [
        'node_modules/vitest/vitest.mjs',
        'run',
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${VITEST_JSON}`,
      ],
    ],
    env: vulkanEnv,
    limitMs: 45 * MINUTE_MS,
    count: () => vitestCount(VITEST_JSON),
  },
  {
    name: 'build',
    commands: [['packages/floe/build.mjs'], ['node_modules/vite/bin/vite.js', 'build']],
    limitMs: 10 * MINUTE_MS,
    needs: ['packages/floe/src/index.ts', 'packages/floe/src/node.ts', 'demo/index.html'],
  },
  {
    name: 'browser tests',
    commands: [
      [
        'e2e/node_modules/@playwright/test/cli.js',
        'test',
        '--config',
        'e2e/playwright.config.ts',
        '--reporter=list,json',
      ],
    ],
    env: () => ({ PLAYWRIGHT_JSON_OUTPUT_FILE: E2E_JSON }),
    limitMs: 45 * MINUTE_MS,
    needs: ['e2e/playwright.config.ts'],
    count: () => playwrightCount(E2E_JSON),
  },
];

/** Vitest's own numbers, and one failure for each file that broke before its first test. */
function vitestCount(path) {
  const report = JSON.parse(readFileSync(path, 'utf8'));
  const brokenFiles = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + brokenFiles.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** A test that passed only when tried again has failed: none is tried again, and one that would be counts. */
function playwrightCount(path) {
  const { stats, errors } = JSON.parse(readFileSync(path, 'utf8'));
  return { passed: stats.expected, failed: stats.unexpected + stats.flaky + errors.length, skipped: stats.skipped };
}

/** Exit status of a Node program; null where it ran into its limit and was ended with all it had started. */
function run([program, ...args], env, limitMs) {
  return new Promise((resolve) => {
    // A process group of its own, so that the limit also ends the workers and browsers a phase has started.
    const ownGroup = process.platform !== 'win32';
    const child = spawn(process.execPath, [join(root, program), ...args], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env },
      detached: ownGroup,
    });
    const end = (signal) => {
      try {
        if (ownGroup) process.kill(-child.pid, signal);
        else child.kill(signal);
      } catch {
        // It is gone already.
      }
    };
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      end('SIGKILL');
    }, limitMs);
    const onInterrupt = () => {
      end('SIGTERM');
      process.exit(130);
    };
    process.once('SIGINT', onInterrupt);
    process.once('SIGTERM', onInterrupt);
    const done = (status) => {
      clearTimeout(timer);
      process.off('SIGINT', onInterrupt);
      process.off('SIGTERM', onInterrupt);
      resolve(timedOut ? null : status);
    };
    child.once('error', (error) => {
      console.log(`could not start ${program}: ${error.message}`);
      done(1);
    });
    child.once('close', (status) => done(status ?? 1));
  });
}

async function runPhase(phase) {
  const missing = (phase.needs ?? []).filter((path) => !existsSync(join(root, path)));
  if (missing.length > 0) {
    console.log(`not in this tree yet: ${missing.join(', ')}`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  let status = 0;
  for (const command of phase.commands) {
    status = await run(command, phase.env?.() ?? {}, phase.limitMs);
    if (status !== 0) break;
  }
  if (status === null) console.log(`ended: it took longer than ${phase.limitMs / MINUTE_MS} minutes`);
  if (!phase.count) return status === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
  try {
    const count = phase.count();
    // What belongs to no test (an unhandled error, a setup that broke, the limit) shows in the exit status only.
    return status !== 0 && count.failed === 0 ? { ...count, failed: 1 } : count;
  } catch (error) {
    console.log(`no count: ${error.message}`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

const heading = (text) => console.log(`\n── ${text} ${'─'.repeat(Math.max(3, 76 - text.length))}`);
const inWords = ({ passed, failed, skipped }) =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;

async function main() {
  heading('setup');
  const results = [];
  try {
    setup();
  } catch (error) {
    console.log(`setup: ${error.message}`);
    results.push({ name: 'setup', seconds: 0, passed: 0, failed: 1, skipped: 0 });
  }
  mkdirSync(output, { recursive: true });
  // Counts of an earlier run must not stand in for those of a phase that crashed.
  for (const path of [VITEST_JSON, E2E_JSON]) rmSync(path, { force: true });
  for (const phase of phases) {
    heading(phase.name);
    const start = performance.now();
    const count = await runPhase(phase);
    results.push({ name: phase.name, seconds: (performance.now() - start) / 1000, ...count });
  }

  heading('all');
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const result of results) {
    console.log(`${result.name.padEnd(22)}${`${result.seconds.toFixed(0)} s`.padStart(6)}   ${inWords(result)}`);
    for (const key of Object.keys(total)) total[key] += result[key];
  }
  process.exitCode = total.failed > 0 ? 1 : 0;
  console.log(inWords(total));
}

await main();
