/**
 * What index.html's `require-trusted-types-for 'script'` needs: scripts, and so Floe's worker, are started from this
 * origin only. Markup is made by DOMPurify's own policy; whatever else would be turned into it is refused.
 */

/** As much of the API as is used; TypeScript's DOM library doesn't have it yet. */
interface TrustedTypes {
  createPolicy(name: string, rules: { readonly createScriptURL: (address: string) => string }): unknown;
}

export function installTrustedTypes(): void {
  const { trustedTypes } = globalThis as { readonly trustedTypes?: TrustedTypes };
  trustedTypes?.createPolicy('default', { createScriptURL: ownScript });
}

function ownScript(address: string): string {
  const { origin } = new URL(address, document.baseURI);
  if (origin !== location.origin) throw new TypeError(`A script of ${origin} has no place in this page: ${address}`);
  return address;
}
