import type { FetchOptions } from './types.ts';

/** Of a call's options those that say how an address is fetched. */
export function fetchOptions({ headers, fetch, hub }: FetchOptions): FetchOptions {
  return { ...(headers ? { headers } : {}), ...(fetch ? { fetch } : {}), ...(hub === undefined ? {} : { hub }) };
}
