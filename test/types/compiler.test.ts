import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const run = promisify(execFile)

let out: string
beforeAll(async () => {
  await mkdir(join(root, '.piko'), { recursive: true })
  out = await mkdtemp(join(root, '.piko', 'types-'))
})
afterAll(() => rm(out, { recursive: true, force: true }))

async function tsc(...args: readonly string[]): Promise<string> {
  const bin = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
  try {
    return (await run(process.execPath, [bin, ...args], { cwd: root })).stdout
  } catch (error) {
    return String((error as { readonly stdout: unknown }).stdout)
  }
}

// `npm run check:types` checks decorator-cases.ts with TC39 decorators.
it('the decorator cases also hold with experimentalDecorators', async () => {
  expect(await tsc('-p', join(root, 'test/types/tsconfig.legacy.json'), '--noEmit')).toBe('')
})

describe('the cost of a job to the type checker', () => {
  /** The number of type instantiations for a file with this many jobs of each form. */
  async function instantiations(jobs: number): Promise<number> {
    const header = `
      import { z } from 'zod'
      import { job } from '../../src/job/decorator.ts'
      import { defineJob, jobSpec } from '../../src/job/define-job.ts'
      import { type ContextOf } from '../../src/job/spec.ts'
      import { Order, OrdersSink, Warehouse } from '../../test/types/support.ts'
    `
    const one = (index: number): string => `
      export const job${index} = defineJob(
        { id: 'job${index}', every: '1h', windows: { start: '2026-01-01T00:00:00Z' }, resources: { db${index}: Warehouse },
          sinks: { orders: OrdersSink }, config: z.object({ shop${index}: z.string(), days: z.number().default(${index}) }) },
        async (ctx) => {
          await ctx.resources.db${index}.query(ctx.config.shop${index})
          await ctx.sinks.orders.write(Order, [])
        },
      )
      const spec${index} = jobSpec({ id: 'spec${index}', cron: '* * * * *', resources: { db${index}: Warehouse },
        config: z.object({ days${index}: z.number() }) })
      export class Jobs${index} {
        @job(spec${index})
        async run(ctx: ContextOf<typeof spec${index}>) { await ctx.resources.db${index}.query(String(ctx.config.days${index})) }
      }
    `
    const name = join(out, `jobs-${jobs}`)
    await writeFile(`${name}.ts`, header + Array.from({ length: jobs }, (_, index) => one(index)).join(''))
    const config = { extends: join(root, 'tsconfig.json'), files: [`${name}.ts`], include: [] }
    await writeFile(`${name}.json`, JSON.stringify(config))
    const diagnostics = await tsc('-p', `${name}.json`, '--noEmit', '--extendedDiagnostics')
    expect(diagnostics).not.toContain('error TS')
    return Number(/^Instantiations: +(\d+)$/m.exec(diagnostics)?.[1])
  }

  it('stays within its budget, for 50 jobs of each form', async () => {
    const [one, many] = [await instantiations(1), await instantiations(50)]
    const perPair = (many - one) / 49
    // Measured with TypeScript 6.0 and zod 4.6: 1,017 for a defineJob and a @job together.
    expect(perPair).toBeGreaterThan(0)
    expect(perPair).toBeLessThan(2_000)
  })
})
