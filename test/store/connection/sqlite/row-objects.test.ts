import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { compiledToObject, copiedToObject } from '../../../../src/store/connection/sqlite/row-objects.ts'

const MODULE = fileURLToPath(new URL('../../../../src/store/connection/sqlite/row-objects.ts', import.meta.url))

describe.each([
  ['compiled', compiledToObject],
  ['copied', copiedToObject],
])('%s row objects', (_name, toObjectOf) => {
  it('have any name that SQL accepts as their own property, and the last of two equal names', () => {
    const names = [
      'id',
      '__proto__',
      'a"b',
      "it's",
      'line\nbreak',
      '\u2028',
      '\\',
      'id',
      'constructor',
      '], evil: 1, [',
    ]
    const row = toObjectOf(names)([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(Object.entries(row)).toEqual([
      ['id', 8],
      ...names.slice(1, 7).map((name, index) => [name, index + 2]),
      ...names.slice(8).map((name, index) => [name, index + 9]),
    ])
    expect(Object.getPrototypeOf(row)).toBe(Object.prototype)
  })
})

it('copies where the process forbids compiled text', () => {
  const code = `const { compiledToObject } = await import(process.argv[1])
    console.log(JSON.stringify(compiledToObject(['id', 'name'])([1, 'a'])))`
  const flags = ['--disallow-code-generation-from-strings', '--input-type=module', '-e', code, MODULE]
  expect(JSON.parse(execFileSync(process.execPath, flags, { encoding: 'utf8' }))).toEqual({ id: 1, name: 'a' })
})
