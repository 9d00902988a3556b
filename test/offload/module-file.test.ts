import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isPikoError } from '../../src/errors.ts'
import { moduleFile, moduleUrl } from '../../src/offload/module-file.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'piko offload '))
})
afterEach(() => rmSync(folder, { recursive: true }))

function foundFor(asked: string, ...present: string[]): string {
  for (const name of present) writeFileSync(join(folder, name), '')
  return basename(fileURLToPath(moduleFile(pathToFileURL(join(folder, asked)))))
}

test('the named file takes precedence over its alternatives', () => {
  expect(foundFor('parse.ts', 'parse.js', 'parse.ts')).toBe('parse.ts')
})

test.each([
  ['parse.ts', 'parse.js'],
  ['parse.ts', 'parse.mjs'],
  ['parse.ts', 'parse.mts'],
  ['parse.mts', 'parse.mjs'],
  ['parse.cts', 'parse.cjs'],
  ['parse.js', 'parse.ts'],
  ['parse', 'parse.ts'],
])('%s is found as %s', (asked, present) => {
  expect(foundFor(asked, present)).toBe(present)
})

test('a missing module is reported with every tried path', () => {
  const missing = pathToFileURL(join(folder, 'parse.ts'))
  expect(() => moduleFile(missing)).toThrow(
    expect.toSatisfy((error) => isPikoError(error, 'OFFLOAD_FAILED')) as unknown,
  )
  for (const name of ['parse.ts', 'parse.js', 'parse.mjs', 'parse.mts']) {
    expect(() => moduleFile(missing)).toThrow(join(folder, name))
  }
})

test('accepts only a file URL as a module', () => {
  expect(moduleUrl('file:///a/b.ts').href).toBe('file:///a/b.ts')
  expect(() => moduleUrl('./parse.ts')).toThrow(
    'the module to offload is "./parse.ts"; expected a file: URL, name it as new URL(\'./parse.ts\', import.meta.url)',
  )
  expect(() => moduleUrl(new URL('https://example.org/a.js'))).toThrow('expected a file: URL')
})
