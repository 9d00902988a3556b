import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { propertyOf } from '../../../errors-read.ts'

/**
 * Creates a folder and its parents.
 *
 * `mkdirSync` with `recursive` can loop forever: some file systems report ENOENT although the parent exists, for example in `/proc` and in
 * folders of an automounter. This function throws the error instead.
 */
export function makeFolder(path: string): void {
  if (existsSync(path)) return
  const parent = dirname(path)
  if (parent !== path) makeFolder(parent)
  try {
    mkdirSync(path)
  } catch (error) {
    // Another process may have created the folder in the meantime.
    if (propertyOf(error, 'code') !== 'EEXIST') throw error
  }
}
