import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { Piko } from '../../src/app/piko.ts'
import { cleanEnv } from '../support/source-process.ts'
import { Project } from './project.ts'

const BIN = fileURLToPath(new URL('../../dist/bin.js', import.meta.url))

/** Prints, at the exit of a process, which packages and which files of the project it loaded, and which formats of `Intl` it created. */
const SPY = `
import { registerHooks } from 'node:module'
import { writeSync } from 'node:fs'
const loaded = new Set()
registerHooks({
  load(url, context, next) {
    const [, name] = /node_modules\\/((?:@[^/]+\\/)?[^/]+)\\/(?!.*node_modules)/.exec(url) ?? []
    if (name || !/^node:|\\/dist\\//.test(url)) loaded.add(name ?? url)
    return next(url, context)
  },
})
for (const name of ['DateTimeFormat', 'NumberFormat'])
  Intl[name] = new Proxy(Intl[name], { construct: (made, args) => (loaded.add('Intl.' + name), new made(...args)) })
process.on('exit', () => writeSync(2, JSON.stringify([...loaded].sort())))
`

describe('commands that only read', () => {
  it('load neither the code of the project nor the packages that a node needs', async () => {
    const project = new Project({ 'jobs.mjs': 'throw new Error("loaded")' })
    const hello = defineJob({ id: 'hello', every: '1d', windows: { start: '2026-01-01', end: '2026-01-02' } }, () => {})
    const path = join(project.folder, '.piko/piko.db')
    const app = new Piko({ jobs: hello, settings: { sqlite: { path }, piko: { log_level: 'silent' } } })
    await app.start()
    await expect.poll(async () => (await app.windows.summary('hello')).counts.succeeded).toBe(1)
    await app.stop()
    const spy = join(project.folder, 'spy.mjs')
    writeFileSync(spy, SPY)
    const loadedBy = (...args: string[]): string[] => {
      const { status, stderr } = spawnSync(process.execPath, ['--import', pathToFileURL(spy).href, BIN, ...args], {
        cwd: project.folder,
        env: cleanEnv(),
        encoding: 'utf8',
      })
      expect({ status, args, stderr }).toMatchObject({ status: 0 })
      return JSON.parse(stderr) as string[]
    }
    for (const args of [
      ['runs', 'list'],
      ['why', 'hello'],
      ['windows', 'hello'],
      ['configs', 'show', 'hello'],
    ])
      expect({ args, loaded: loadedBy(...args) }).toEqual({ args, loaded: SMALL })
  })
})

/** One file each, and no format of `Intl`, of which the first takes 10 ms. Anything else belongs in a dynamic import, unless every command needs it. */
const SMALL = ['convict', 'fastest-levenshtein', 'lodash.clonedeep', 'lru-cache', 'picocolors', 'yargs-parser']
