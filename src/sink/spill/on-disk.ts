import { readdir, stat } from 'node:fs/promises'
import { propertyOf } from '../../errors-read.ts'

/** Returns the names in a folder. Empty if the folder does not exist, because another process may have removed it. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(String(propertyOf(error, 'code')))) return []
    throw error
  }
}

/** Returns the size of a file in bytes; 0 if it does not exist. */
export async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (propertyOf(error, 'code') === 'ENOENT') return 0
    throw error
  }
}
