/** Addresses of a model hub: `hf:owner/repo/path/file.gguf`, `hf:owner/repo@revision/path/file.gguf`, or all of `hf:owner/repo`. */
import { RequestError } from '../../errors/index.ts';

/** Where `hf:` addresses lead unless `hub` says otherwise. */
export const DEFAULT_HUB = 'https://huggingface.co';

const NAME = '[A-Za-z0-9][A-Za-z0-9._-]*';
const ADDRESS = new RegExp(`^hf:(?://)?(${NAME})/(${NAME})(?:@([^/?#]+))?(?:/([^?#]*))?$`);

/** Whether `address` is one of a hub, right or wrong. */
export function isHubAddress(address: string): boolean {
  return /^hf:/i.test(address);
}

/**
 * The URL of a hub address; that of a repository, or of a folder in it, ends with a slash. A revision is a branch, a tag or
 * a commit, `main` by itself; a slash in it is written `%2F`.
 *
 * @param hub  The hub's origin, with a path where a mirror has one.
 * @throws {RequestError} `request/invalid`: it is none.
 */
export function hubUrl(address: string, hub: string = DEFAULT_HUB): URL {
  const [, owner, repo, revision = 'main', path = ''] = ADDRESS.exec(address) ?? [];
  const parts = path.replace(/\/$/, '').split('/');
  const isPath = parts.every((part) => part !== '' && part !== '.' && part !== '..');
  // A file whose repository was forgotten is no repository.
  const isRepository = path === '' && !/\.gguf$/i.test(repo ?? '');
  if (!owner || !repo || !(isPath || isRepository)) {
    throw new RequestError('request/invalid', `'${address}' is no address of a hub.`, {
      remedy:
        'Write hf:OWNER/REPO/FILE.gguf, or hf:OWNER/REPO for its safetensors; hf:OWNER/REPO@REVISION for others than main.',
      details: { address },
    });
  }
  if (!URL.canParse(hub) || !/^https?:$/.test(new URL(hub).protocol)) {
    throw new RequestError('request/invalid', `'${hub}' is no address a hub could have.`, {
      remedy: `Give \`hub\` like '${DEFAULT_HUB}'.`,
      details: { hub },
    });
  }
  const encode = (text: string) => encodeURIComponent(decoded(text));
  const file = path.split('/').map(encode).join('/');
  return new URL(`${hub.replace(/\/+$/, '')}/${owner}/${repo}/resolve/${encode(revision)}/${file}`);
}

/** A URL's parts may have been encoded already, by `new URL`; a text that only looks so is left as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
