/** How an address is fetched: options of every command that takes a model. */
import type { FetchOptions } from 'floe/node';
import type { Values } from './arguments.ts';
import { UsageError } from './failure.ts';

export const fetchOptions = {
  header: { type: 'string', multiple: true },
  hub: { type: 'string' },
} as const;

/** What the help of such a command says of them. */
export const fetchUsage = `  --header 'NAME: VALUE'  sent with each request, for hosts that want a token; as often as needed
  --hub URL             where hf: addresses lead, for mirrors; default https://huggingface.co`;

/** As `loadModel` takes them. */
export function fetchLoad({ header, hub }: Values<typeof fetchOptions>): Pick<FetchOptions, 'headers' | 'hub'> {
  const headers = (header ?? []).map((line): [string, string] => {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*(.*?)\s*$/.exec(line) ?? [];
    // The value may be a secret: it is not repeated.
    if (name === undefined || value === undefined) {
      throw new UsageError('--header is no header.', "Give it like --header 'Authorization: Bearer …'.");
    }
    return [name, value];
  });
  return {
    ...(headers.length === 0 ? {} : { headers: Object.fromEntries(headers) }),
    ...(hub === undefined ? {} : { hub }),
  };
}
