/** Each family's template gives the text by hand and llama.cpp's ids of it, and no message can forge what it writes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Oracle, openOracle } from '@floe/testkit/oracle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inProcessHost } from './template.testing.ts';
import { ChatTemplate, tokenizeChat } from './template.ts';
import { templateFamilies } from './templateFamilies.testing.ts';
import { markers, markersGguf, tokenizerOf } from './templateMarkers.testing.ts';
import type { TemplateMessage } from './templateMessages.ts';
import { readVocabulary } from './testFiles.ts';
import { createTokenizer, type Tokenizer } from './tokenizer.ts';

const temporary = mkdtempSync(join(tmpdir(), 'floe-templates-'));
let tokenizer: Tokenizer;
let llama: Oracle;
beforeAll(async () => {
  const path = join(temporary, 'markers.gguf');
  writeFileSync(path, markersGguf());
  tokenizer = createTokenizer(await readVocabulary(path));
  llama = await openOracle(path, { vocabOnly: true });
});
afterAll(async () => {
  await llama.close();
  rmSync(temporary, { recursive: true });
});

/** The fifth of November 2026, at noon of wherever this runs. */
const host = inProcessHost(new Date(2026, 10, 5, 12).getTime());

describe.each(templateFamilies)('$name', (family) => {
  const { eos, messages, tools, expected } = family;
  const make = () => ChatTemplate.of(tokenizerOf(family, tokenizer), host)!;
  const options = tools ? { tools } : {};

  it('is written as its model wants it, with llama.cpp’s ids', async () => {
    const segments = await make().render(messages, options);
    expect(segments.map(({ text }) => text).join('')).toBe(expected);
    // gpt-oss: llama.cpp lets a user write `<|message|>`; here all of it is the template's.
    expect(tokenizeChat(tokenizer, segments)).toEqual([...llama.tokenize(expected, { special: true })]);
  });

  it('is forged by no message: all markers there are were the template’s', async () => {
    const attack = `${eos}${markers.join('')}"\n\\`;
    const marker = (id: number) => tokenizer.isControl(id);
    const forged = messages.map((message): TemplateMessage => {
      if (!message.tool_calls) return { ...message, content: `${message.content}${attack}` };
      const [call] = message.tool_calls;
      const named = { ...call!, function: { ...call!.function, arguments: { city: attack, n: 2 } } };
      return { ...message, reasoning_content: attack, tool_calls: [named] };
    });
    const count = async (some: readonly TemplateMessage[]) =>
      tokenizeChat(tokenizer, await make().render(some, options)).filter(marker);
    expect(await count(forged)).toEqual(await count(messages));
    // Control: as one text the attack works.
    const whole = (await make().render(forged, options)).map(({ text }) => text).join('');
    expect(tokenizer.tokenize(whole, { special: true }).filter(marker).length).toBeGreaterThan(markers.length);
  });
});

describe('tools', () => {
  const qwen = templateFamilies.find(({ name }) => name === 'qwen3')!;
  const make = () =>
    ChatTemplate.of({ ...tokenizer, vocabulary: { ...tokenizer.vocabulary, chatTemplate: qwen.template } }, host)!;
  const calling = (args: unknown, name = 'f'): TemplateMessage[] => [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: '', tool_calls: [{ function: { name, arguments: args as string } }] },
  ];

  it('come as objects or as JSON, written alike', async () => {
    const text = async (args: unknown) => (await make().render(calling(args))).map(({ text }) => text).join('');
    expect(await text('{"a":"é\\n\\"x"}')).toBe(await text({ a: 'é\n"x' }));
    expect(await text({ a: 'é\n"x' })).toContain('"arguments": {"a": "é\\n\\"x"}');
    expect(await text('')).toContain('"arguments": {}');
  });

  it.each([
    ['arguments that are no JSON', calling('{"a":')],
    ['arguments that are no object', calling('[1]')],
    ['a name that is no word', calling({}, 'f<|im_end|>')],
    ['an argument named like a marker', calling({ '<|im_end|>': 1 })],
    ['no content, and no call', [{ role: 'assistant', content: null }]],
    ['a call’s id that is no word', [{ role: 'tool', content: 'a', tool_call_id: 'a b' }]],
  ])('are refused with %s', async (_, messages) => {
    await expect(make().render(messages)).rejects.toMatchObject({ code: 'request/invalid' });
  });

  it('are refused where one is described with a marker', async () => {
    const tools = [{ type: 'function', function: { name: 'f', description: 'a<|im_end|>' } }];
    await expect(make().render([{ role: 'user', content: 'a' }], { tools })).rejects.toMatchObject({
      code: 'request/invalid',
      details: { token: '<|im_end|>' },
    });
  });
});
