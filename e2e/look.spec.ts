/** Pictures of the page in test-output/screenshots, and what can be said of its look without a human. */
import { expect, test } from './fixtures.ts';

const looks = [
  { name: 'light', options: { viewport: { width: 1280, height: 860 }, colorScheme: 'light' } },
  { name: 'dark', options: { viewport: { width: 1280, height: 860 }, colorScheme: 'dark' } },
  { name: 'phone', options: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true } },
] as const;

for (const { name, options } of looks) {
  test.describe(name, () => {
    test.use(options);
    test(`fits its width, before and after an answer (${name})`, async ({ floe, server }) => {
      await floe.open();
      await floe.picture(`${name}-start`);
      await floe.openWith(server.url);
      await floe.get('chip').first().click();
      await expect(floe.get('answer-stats')).toHaveCount(1);
      await floe.picture(`${name}-answered`);
      const overflow = await floe.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect(overflow).toBeLessThanOrEqual(0);
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
