import { describe, expect, it } from 'vitest'
import { Project, until } from './project.ts'

describe('piko start, supervised', () => {
  it('names the function and the file that block the event loop, and the duration', async () => {
    const project = new Project({
      'jobs.ts': `
import { defineJob } from 'piko'

function grindRows(): number {
  const end = Date.now() + 3_000
  let rows = 0
  while (Date.now() < end) rows += 1
  return rows
}

export const grind = defineJob({ id: 'grind', at: new Date(Date.now() + 1_500) }, () => void grindRows())
`,
    })
    const piko = project.start(['start', '--json'], { PIKO_LOG_JSON: 'true' })
    const { url } = await piko.started()
    await until(async () =>
      /^piko_event_loop_blocked_seconds_count [1-9]/m.test(await (await fetch(`${url}/metrics`)).text()),
    )
    const metrics = await (await fetch(`${url}/metrics`)).text()
    expect(Number(/^piko_event_loop_blocked_seconds_sum (\S+)/m.exec(metrics)?.[1])).toBeGreaterThanOrEqual(2.5)
    const graph = await (await fetch(`${url}/graph`)).text()
    expect(graph).toMatch(/<svg[\s\S]*dispatcher[\s\S]*<\/svg>/)
    piko.kill('SIGTERM')
    const { code, stderr } = await piko.ended
    expect(code).toBe(0)
    const blocked = stderr
      .split('\n')
      .filter((line) => line.includes('"loop.blocked"'))
      .map((line) => JSON.parse(line) as { msg: string; blocked_ms: number })
    expect(blocked.some(({ msg }) => /blocked for .* by grindRows \(.*jobs\.ts:\d+:\d+\)/.test(msg))).toBe(true)
  })

  it('returns runs to the queue uncounted after the deadline, and exits with 0', async () => {
    const project = new Project({
      'jobs.mjs': `
import { defineJob } from 'piko'
export const slow = defineJob({ id: 'slow' }, (ctx) => new Promise((_, reject) => {
  ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason))
}))
`,
    })
    const piko = project.start(['start', '--json'], { PIKO_SHUTDOWN_TIMEOUT: '1s' })
    const { url } = await piko.started()
    await project.piko(['run', 'slow', '--no-wait'])
    await until(async () => /^piko_runs_active 1$/m.test(await (await fetch(`${url}/metrics`)).text()))
    const signalledAt = performance.now()
    piko.kill('SIGTERM')
    const { code } = await piko.ended
    expect(code).toBe(0)
    expect(performance.now() - signalledAt).toBeLessThan(60_000)
    const { DatabaseSync } = await import('node:sqlite')
    const database = new DatabaseSync(`${project.folder}/.piko/piko.db`)
    expect({ ...database.prepare('SELECT state, attempt, node_id FROM piko_run').get() }).toEqual({
      state: 'queued',
      attempt: 0,
      node_id: null,
    })
    database.close()
  })
})
