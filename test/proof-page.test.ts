import { readFileSync } from 'node:fs'
import { afterAll, expect, it } from 'vitest'
import { Snippets } from './support/snippets.ts'

const proof = new Snippets('docs/proof.md')

afterAll(() => proof.remove())

it('docs/proof.md shows a program that proves a ledger and names a deleted row, and what it prints', async () => {
  const page = readFileSync(new URL('../docs/proof.md', import.meta.url), 'utf8')
  const [, printed] = /^```\n([\s\S]*?)^```$/m.exec(page.slice(page.indexOf('It prints:'))) ?? []
  expect(await proof.run('proof.ts')).toBe(printed)
})
