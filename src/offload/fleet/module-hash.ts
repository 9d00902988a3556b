import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { moduleFile } from '../module-file.ts'

const MAX_FILES = 1_000
/** Matches `from './x.ts'`, `import './x.ts'` and `import('./x.ts')`. */
const IMPORTED = /(?:\bfrom|\bimport)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g
const hashes = new Map<string, string>()

/**
 * Returns the SHA-256 over a module, the files that it imports by relative paths, and the version of V8. Both ends need the same version of
 * V8 to decode the arguments. The files are read only once, because a thread also keeps the version of a file that it has loaded.
 */
export function moduleHash(file: string): string {
  const known = hashes.get(file)
  if (known !== undefined) return known
  const hash = createHash('sha256').update(process.versions.v8)
  const seen = new Set([file])
  // The files are hashed in the order of the imports and not of the paths, because the other node may have the program in another folder.
  for (const url of seen) {
    const text = readFileSync(fileURLToPath(url))
    hash.update(`\0${text.length}\0`).update(text)
    for (const [, path = ''] of text.toString().matchAll(IMPORTED)) {
      const imported = importedFile(path, url)
      if (imported !== undefined && seen.size < MAX_FILES) seen.add(imported)
    }
  }
  const digest = hash.digest('hex')
  hashes.set(file, digest)
  return digest
}

function importedFile(path: string, from: string): string | undefined {
  try {
    return moduleFile(new URL(path, from)).href
  } catch {
    // The text may only look like an import, for example in a comment. If it is a real import, the thread reports the missing file.
    return undefined
  }
}
