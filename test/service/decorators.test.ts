import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { transform } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { crontab, task, timer } from '../../src/service/decorators.ts'
import { Service } from '../../src/service/service.ts'
import * as lowered from '../fixtures/service/decorated.ts'
import { quiet } from '../support/service-clock.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const fixture = join(root, 'test/fixtures/service/decorated.ts')

let out: string
beforeAll(async () => {
  await mkdir(join(root, '.piko'), { recursive: true })
  out = await mkdtemp(join(root, '.piko', 'decorators-'))
})
afterAll(() => rm(out, { recursive: true, force: true }))

async function compiled(legacy: boolean): Promise<typeof lowered> {
  const { code } = await transform(await readFile(fixture, 'utf8'), {
    loader: 'ts',
    target: 'es2022',
    tsconfigRaw: { compilerOptions: { experimentalDecorators: legacy } },
  })
  const file = join(out, legacy ? 'legacy.js' : 'tc39.js')
  await writeFile(file, code.replaceAll('../../../src/', pathToFileURL(join(root, 'src/')).href))
  return (await import(pathToFileURL(file).href)) as typeof lowered
}

describe.each([
  { mode: 'TC39, as this very file is run', load: async () => lowered },
  { mode: 'TC39 by esbuild', load: () => compiled(false) },
  { mode: 'experimentalDecorators', load: () => compiled(true) },
])('with $mode', ({ load }) => {
  it('inherited tasks, timers and crontabs run, and an override replaces the original', async () => {
    const { Base, Derived, Sibling } = await load()
    const summary = async (service: lowered.Base): Promise<unknown> => {
      await service.start()
      await quiet()
      const timers = service.timerStats.map((stats) => `${stats.name} ${stats.schedule}`)
      const tasks = service.tasks.map((info) => `${info.kind} ${info.name}`)
      await service.stop()
      return [service.ran, timers, tasks]
    }
    const base = [['Base.poll true', 'Base.overridden'], ['tick 1s'], ['timer tick']]
    expect(await summary(new Base())).toEqual(base)
    expect(await summary(new Derived())).toEqual([
      ['Base.poll true', 'Derived.poll', 'Derived.overridden'],
      ['tick 1s', 'yearly 0 0 1 1 *'],
      ['timer tick', 'crontab yearly'],
    ])
    expect(await summary(new Sibling())).toEqual(base)
  })
})

it('a private method can be a task', async () => {
  let ran = false
  class Private extends Service {
    @task
    #hidden(): void {
      ran = true
    }

    hide(): void {
      this.#hidden()
    }
  }
  const service = new Private()
  await service.start()
  await quiet()
  await service.stop()
  expect(ran).toBe(true)
})

it.each([
  ['task', task],
  ['timer', timer('1s')],
  ['crontab', crontab('* * * * *')],
])('@%s refuses a static method, a field and an accessor', (word, decorate) => {
  const tc39 = decorate as (target: unknown, context: unknown) => void
  const context = { name: 'x', static: false, access: {}, addInitializer: () => undefined }
  expect(() => tc39(undefined, { ...context, kind: 'field' })).toThrow(`@${word} is on "x", a field; expected a method`)
  expect(() => tc39(() => 1, { ...context, kind: 'method', static: true })).toThrow('a static method')
  const legacy = decorate as (target: object, name: string, descriptor?: PropertyDescriptor) => void
  expect(() => legacy(class {}, 'x', { value: () => 1 })).toThrow('a static method')
  expect(() => legacy({}, 'x', { get: () => 1 })).toThrow('an accessor')
})
