/** What a request says of a conversation reaches the model's template whole; templateFamilies.test.ts holds the ids to llama.cpp's. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { inProcessHost } from '../text/template.testing.ts';
import { ChatTemplate } from '../text/template.ts';
import { templateFamilies } from '../text/templateFamilies.testing.ts';
import { markersGguf, tokenizerOf } from '../text/templateMarkers.testing.ts';
import { readVocabulary } from '../text/testFiles.ts';
import { createTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import { chatPrompt } from './chatPrompt.ts';
import type { ChatCompletionRequest, Tool } from './types.ts';

let markersTokenizer: Tokenizer;
beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'floe-chat-'));
  writeFileSync(join(folder, 'markers.gguf'), markersGguf());
  markersTokenizer = createTokenizer(await readVocabulary(join(folder, 'markers.gguf')));
  rmSync(folder, { recursive: true });
});

const host = inProcessHost(new Date(2026, 10, 5, 12).getTime());
const weather: Tool = { type: 'function', function: { name: 'weather' } };

/** The request as it arrives behind the worker's door, and the prompt that is made of it, as text. */
async function promptOf(source: string | (typeof templateFamilies)[number], request: ChatCompletionRequest) {
  const [family] = templateFamilies;
  const tokenizer = tokenizerOf(
    typeof source === 'string' ? { ...family!, template: source } : source,
    markersTokenizer,
  );
  const arrived = structuredClone(request);
  const template = ChatTemplate.of(tokenizer, host);
  const ids = await chatPrompt({ tokenizer, template }, 'a model', arrived);
  return { ids, text: tokenizer.detokenize(ids, { special: true }) };
}

describe('a prompt', () => {
  it.each(templateFamilies)('of $name has the ids of its template, tools and calls included', async (family) => {
    const { messages, tools, expected } = family;
    const { ids } = await promptOf(family, { messages, ...(tools ? { tools: tools as readonly Tool[] } : {}) });
    expect(ids).toEqual(markersTokenizer.tokenize(expected, { special: true }));
  });

  const shown = "{{ tools is none }} {{ reasoning_effort | default('-') }} {{ enable_thinking | default('-') }}";
  const messages = [{ role: 'user', content: 'a' }];
  it('has what the request says of tools and of reasoning', async () => {
    const text = async (more: Partial<ChatCompletionRequest>) => (await promptOf(shown, { messages, ...more })).text;
    expect(await text({})).toBe('true - -');
    expect(await text({ tools: [weather], reasoning_effort: 'high' })).toBe('false high -');
    expect(await text({ tools: [weather], tool_choice: 'none' })).toBe('true - -');
    expect(await text({ chat_template_kwargs: { enable_thinking: false } })).toBe('true - false');
  });

  it.each([
    ['tools', { tools: [{ name: 'weather' }] }],
    ['tools', { tools: 'weather' }],
    ['tool_choice', { tools: [weather], tool_choice: 'required' }],
    ['reasoning_effort', { reasoning_effort: 'a lot' }],
  ])('refuses other %s: %j', async (argument, wrong) => {
    const request = { messages, ...wrong } as unknown as ChatCompletionRequest;
    await expect(promptOf(shown, request)).rejects.toMatchObject({ code: 'request/invalid', details: { argument } });
  });
});
