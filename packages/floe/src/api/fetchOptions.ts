/** How an address is fetched. */
export interface FetchOptions {
  /**
   * Sent with each request, for hosts that want a token: `{ Authorization: 'Bearer …' }`. Where the host leads on to
   * another origin, `fetch` itself decides what goes there: `Authorization` does not.
   */
  readonly headers?: Readonly<Record<string, string>>;
  /** Stands in for the platform's `fetch`. In a page it is called in the page's thread, and what it brings is passed on. */
  readonly fetch?: (url: string, init?: RequestInit) => Promise<Response>;
  /** Where addresses like `hf:owner/repo/file.gguf` lead, for mirrors; https://huggingface.co by itself. */
  readonly hub?: string;
}

/** Of a call's options those that say how an address is fetched. */
export function fetchOptions({ headers, fetch, hub }: FetchOptions): FetchOptions {
  return { ...(headers ? { headers } : {}), ...(fetch ? { fetch } : {}), ...(hub === undefined ? {} : { hub }) };
}
