/** Pictures of the page in test-output/screenshots, and what can be said of its look without a human. */
import { expect, test } from './fixtures.ts';

const screens = [
  {
    name: 'desk',
    options: { viewport: { width: 1280, height: 860 } },
    looks: { light: 'light', dark: 'dark' },
  },
  {
    name: 'phone',
    options: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
    looks: { phone: 'light' },
  },
] as const;

for (const { name, options, looks } of screens) {
  test.describe(name, () => {
    test.use(options);
    test(`fits its width, before and after an answer (${name})`, async ({ floe, server }) => {
      const look = async (when: string) => {
        for (const [look, colorScheme] of Object.entries(looks)) {
          await floe.page.emulateMedia({ colorScheme });
          await floe.picture(`${look}-${when}`);
          const overflow = await floe.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          expect(overflow, look).toBeLessThanOrEqual(0);
        }
      };
      await floe.open();
      await look('start');
      await floe.openWith(server.url);
      await floe.get('chip').first().click();
      await expect(floe.get('answer-stats')).toHaveCount(1);
      await look('answered');
    });
  });
}

test('the toggle goes from the system’s colours to light to dark, and is remembered', async ({ floe }) => {
  await floe.open();
  const html = floe.page.locator('html');
  await floe.get('theme-toggle').click();
  await expect(html).toHaveAttribute('data-theme', 'light');
  await floe.get('theme-toggle').click();
  await expect(html).toHaveAttribute('data-theme', 'dark');
  await floe.page.reload();
  await expect(html).toHaveAttribute('data-theme', 'dark');
});

test('every control has a name', async ({ floe }) => {
  await floe.open();
  await floe.get('other-models').locator('summary').click();
  const nameless = await floe.page.evaluate(() =>
    [...document.querySelectorAll<HTMLInputElement>('input, textarea, button, progress')]
      .filter((control) => !control.labels?.length && !control.textContent && !control.ariaLabel)
      .filter((control) => !control.ariaLabelledByElements?.length)
      .map((control) => control.id),
  );
  expect(nameless).toEqual([]);
});

test('nothing is asked of another origin before a model is chosen', async ({ floe, baseURL }) => {
  const others: string[] = [];
  floe.page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(baseURL!).origin) others.push(request.url());
  });
  await floe.open();
  await floe.page.waitForLoadState('networkidle');
  expect(others).toEqual([]);
});
