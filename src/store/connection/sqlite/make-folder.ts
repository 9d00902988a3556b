import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { propertyOf } from '../../../errors-read.ts'

/**
 * Makes a folder and the folders above it.
 *
 * `mkdirSync` with `recursive` never returns where a file system says ENOENT although the parent exists, such as `/proc` and folders of
 * an automounter. This one throws the error.
 */
export function makeFolder(path: string): void {
  if (existsSync(path)) return
  const parent = dirname(path)
  if (parent !== path) makeFolder(parent)
  try {
    mkdirSync(path)
  } catch (error) {
    // Another process may have made it in the meantime.
    if (propertyOf(error, 'code') !== 'EEXIST') throw error
  }
}
