import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { exitCodeOf } from '../src/cli/process/exit-code.ts'
import { cleanEnv, SOURCE_FLAGS } from './support/source-process.ts'
import { nodeTooOld, OLDEST_NODE } from '../src/node-version.ts'

it.each(['22.19.0', '22.19.1', '22.20.0', '23.0.0', '24.21.0', '25.0.0-nightly20251001'])(
  'accepts Node %s',
  (version) => {
    expect(nodeTooOld(version)).toBeUndefined()
  },
)

it.each(['18.20.4', '20.20.2', '21.99.0', '22.0.0', '22.18.9'])(
  'refuses Node %s and says how to get another',
  (version) => {
    const error = nodeTooOld(version)
    expect(error).toMatchObject({ code: 'NODE_TOO_OLD', details: { found: version } })
    expect(error?.message).toContain(`this is Node ${version}; expected 22.19.0 or newer`)
    expect(error?.message).toContain('npm install --save-dev node@24')
    expect(error && exitCodeOf(error)).toBe(2)
  },
)

it('expects what package.json promises', () => {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  const { engines } = JSON.parse(manifest) as { engines: { node: string } }
  expect(`${engines.node}.0`).toBe(`>=${OLDEST_NODE}`)
})

it('an app says so on an older Node, which lacks functions that Piko uses', () => {
  const code = `
    const versions = { ...process.versions, node: '20.20.2' }
    Object.defineProperty(process, 'versions', { value: versions })
    for (const name of ['withResolvers', 'try']) delete Promise[name]
    const { Piko, defineJob } = await import('piko')
    try { new Piko({ jobs: defineJob({ id: 'a' }, () => 1) }) } catch (error) { console.log(error.code) }`
  const flags = [...SOURCE_FLAGS, '--input-type=module', '--eval', code]
  const { stdout, stderr } = spawnSync(process.execPath, flags, { env: cleanEnv(), encoding: 'utf8' })
  expect([stdout.trim(), stderr]).toEqual(['NODE_TOO_OLD', ''])
})
