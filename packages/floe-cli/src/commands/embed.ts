import { idList, numberOption, parse } from '../arguments.ts';
import type { Command } from '../command.ts';
import { fetchLoad, fetchOptions, fetchUsage } from '../fetching.ts';
import { withModel } from '../loading.ts';
import { adaptersOf, loraOptions, loraUsage } from '../lora.ts';

const usage = `floe embed MODEL.gguf (TEXT | --ids 1,2,3) [options]: the vector of a text, its values on one line

  --ids LIST            token ids in place of the text; nothing is added around them
  --dimensions N        the first N values, of length 1 again; for models that were trained to be cut
  --json                {"embedding", "dimensions", "usage"}
${loraUsage}
${fetchUsage}

For models that make vectors of texts, like Arctic Embed, which wants its own words before a question (docs/embeddings.md).
MODEL.gguf is a path, a URL or hf:OWNER/REPO/FILE.gguf;
or a folder of safetensors, as a path, a URL with a slash at its end, or hf:OWNER/REPO.
`;

/** `floe embed`: a text to its vector. */
export const embed: Command = {
  name: 'embed',
  summary: 'the vector of a text',
  usage,
  run: async (args, context) => {
    const hasIds = args.some((arg) => arg === '--ids' || arg.startsWith('--ids='));
    const { values, positionals } = parse('embed', args, hasIds ? ['MODEL.gguf'] : ['MODEL.gguf', 'TEXT'], {
      ids: { type: 'string' },
      dimensions: { type: 'string' },
      json: { type: 'boolean' },
      ...loraOptions,
      ...fetchOptions,
    });
    const [source, text] = positionals as [string, string?];
    const input = text ?? idList('--ids', values.ids!);
    const dimensions = numberOption('--dimensions', values.dimensions, { min: 1 });
    const loading = { quiet: values.json ?? false, load: fetchLoad(values), adapters: adaptersOf(values) };
    await withModel(source, context, loading, async (model) => {
      const request = { input, signal: context.signal, ...(dimensions === undefined ? {} : { dimensions }) };
      const { data, usage } = await model.embeddings.create(request);
      const { embedding } = data[0]!;
      const whole = { embedding, dimensions: embedding.length, usage };
      context.terminal.out(`${values.json ? JSON.stringify(whole) : embedding.join(' ')}\n`);
    });
  },
};
