import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { EXIT_CODES } from '../src/cli/process/exit-code.ts'
import { ERROR_CODES } from '../src/errors.ts'

const page = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')
const sections = new Map(
  page
    .split(/^(?=#{2,3} )/m)
    .flatMap((text) =>
      [...text.matchAll(/^### `(\w+)`$/gm)].map(([, code]) => [code, text.replaceAll(/\s+/g, ' ')] as const),
    ),
)

describe('docs/errors.md', () => {
  it('has every code once, and no other', () => {
    expect([...sections.keys()].sort()).toEqual([...ERROR_CODES].sort())
    expect(page.match(/^### /gm)).toHaveLength(ERROR_CODES.length)
  })

  it.each([...ERROR_CODES])('gives the cause, the fix and the exit code of %s', (code) => {
    expect(sections.get(code)).toMatch(/\*\*Cause\*\*: \S.*\*\*Fix\*\*: \S/)
    expect(sections.get(code)).toContain(` Exit code ${EXIT_CODES[code]}. `)
  })
})

it('keeps the codes sorted', () => {
  expect([...ERROR_CODES]).toEqual([...ERROR_CODES].sort((a, b) => a.localeCompare(b, 'en')))
})
