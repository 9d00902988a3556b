import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { BUILT_FLAGS, cleanEnv } from './support/source-process.ts'

// Objects that outlive a few collections, as the rows of a stream: 40 lists of 20,000, the last ten of which are kept.
const SCRIPT = `
import { Piko } from 'piko'
import v8 from 'node:v8'
const young = () => v8.getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size
new Piko({ settings: { piko: { small_heap: process.env['SMALL'] === 'yes' } } })
const before = young()
const kept = []
for (let list = 0; list < 40; list++) {
  kept.push(Array.from({ length: 20_000 }, (_, id) => ({ id, text: 'row ' + id })))
  if (kept.length > 10) kept.shift()
}
console.log(young() > before)
`

it('small_heap keeps the young generation of the process from growing', () => {
  const hasGrown = (small: 'yes' | 'no'): string => {
    const env = { ...cleanEnv(), SMALL: small }
    const { stdout, stderr } = spawnSync(process.execPath, [...BUILT_FLAGS, '--input-type=module', '--eval', SCRIPT], {
      env,
      encoding: 'utf8',
    })
    return stdout.trim() + stderr
  }
  expect([hasGrown('no'), hasGrown('yes')]).toEqual(['true', 'false'])
})
