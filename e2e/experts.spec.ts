/** The experts' panel: where experts are, what moving them costs, and a model that answers the same with fewer of them. */
import { expect, test } from './fixtures.ts';

test('with a quarter of the experts on the GPU the answer is the same, and the panel shows what that costs', async ({
  floe,
}) => {
  await floe.open();
  await expect(floe.get('experts-panel')).toBeHidden();
  await floe.get('load-bundled').click();
  await floe.reaches('ready');
  await expect(floe.get('experts-brief')).toHaveText('512 of 512 on the GPU');
  await floe.get('sample-staff').click();
  const answer = await floe.askChip(0);
  await expect(floe.get('hit-rate')).toHaveText('100%');
  await expect(floe.get('misses')).toHaveText('0');

  await floe.setGpuBudget(25);
  await expect(floe.get('gpu-budget-value')).toHaveText('25%: 128 of 512 experts');
  await expect(floe.get('places-resident')).toHaveText('128');
  // The conversation is still there, and goes on.
  await expect(floe.get('turn')).toHaveCount(1);
  // Folded, the panel draws nothing.
  await floe.foldExperts();
  expect(await floe.askChip(0)).toBe(answer);
  await expect(floe.get('turn')).toHaveCount(2);
  await expect(floe.get('hit-rate')).toHaveText('–');
  await floe.unfoldExperts();

  await expect(floe.get('misses')).toHaveText(/^[1-9][\d,]*$/);
  await expect(floe.get('experts-moved')).toHaveText(/^[1-9][\d,]*$/);
  await expect(floe.get('bytes-moved')).toHaveText(/^[\d.]+ [kMG]B$/);
  await expect(floe.get('hit-rate')).toHaveText(/^\d\d?\.\d%$/);
  await expect(floe.get('stall')).toHaveText(/^[\d.]+ m?s$/);
  await expect(floe.get('blocking-waits')).toHaveText(/^[\d.]+$/);
  await expect(floe.get('expert-map')).toHaveAccessibleName(/^512 experts in 4 layers: 128 on the GPU, .*\d missed/);
  // Experts on the GPU, experts that are not, those just used, and nothing between them.
  expect((await floe.mapColours()).size).toBeGreaterThanOrEqual(4);

  const looks = [
    { name: 'light', colorScheme: 'light', width: 1280, height: 860 },
    { name: 'dark', colorScheme: 'dark', width: 1280, height: 860 },
    { name: 'phone', colorScheme: 'light', width: 390, height: 844 },
  ] as const;
  const painted = new Map<string, Set<number>>();
  for (const { name, colorScheme, ...size } of looks) {
    await floe.page.emulateMedia({ colorScheme });
    await floe.page.setViewportSize(size);
    await floe.get('experts-panel').evaluate((panel) => panel.scrollIntoView());
    await floe.picture(`${name}-experts`);
    painted.set(name, await floe.mapColours());
    const overflow = await floe.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow, name).toBeLessThanOrEqual(0);
  }
  const nothing = 0;
  const inBoth = [...painted.get('light')!].filter((colour) => painted.get('dark')!.has(colour));
  expect(inBoth, 'colours of both themes').toEqual([nothing]);
});

test('on a phone the panel unfolds; its slider says its value in words, and loads once for three keys', async ({
  floe,
  server,
}) => {
  await floe.page.setViewportSize({ width: 390, height: 844 });
  await floe.openWith(server.url);
  await expect(floe.get('experts-brief')).toBeVisible();
  await expect(floe.get('expert-map')).toBeHidden();
  await floe.unfoldExperts();
  await expect.poll(async () => (await floe.mapColours()).size).toBeGreaterThanOrEqual(2);
  const slider = floe.page.getByRole('slider', { name: 'GPU budget' });
  await expect(slider).toHaveAttribute('aria-valuetext', 'all 32 experts');
  await floe.countLoads();
  await slider.focus();
  for (const key of ['PageDown', 'PageDown', 'Home']) await slider.press(key);
  await expect(slider).toHaveAttribute('aria-valuetext', 'the fewest that work: 3 of 32 experts');
  await expect(floe.get('experts-brief')).toHaveText('3 of 32 on the GPU');
  await expect(floe.get('notices').getByTestId('notice-few-slots')).toBeVisible();
  expect(await floe.loads(), 'loads for three keys').toBe(1);
  await expect(slider).toBeFocused();
});
