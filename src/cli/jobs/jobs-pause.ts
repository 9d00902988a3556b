import { visibleLine } from '../../visible.ts'
import type { Command } from 'commander'
import { examples, globalOptions } from '../global-options.ts'
import { printResult } from '../output/print-result.ts'
import { withApp } from '../with-app.ts'

export function addJobsPause(jobs: Command): void {
  const add = (name: 'pause' | 'resume', description: string): void => {
    jobs
      .command(name)
      .description(description)
      .argument('<job>', 'id of the job')
      .addHelpText('after', examples([`piko jobs ${name} sync_orders`, `piko jobs ${name} sync_orders --json`]))
      .action((jobId: string, _options: object, command: Command) =>
        withApp(globalOptions(command), async (app, json) => {
          await app.jobs[name](jobId)
          const state = name === 'pause' ? 'paused' : 'active'
          printResult(json, { jobId, state }, () => `${visibleLine(jobId)} is ${state}`)
        }),
      )
  }
  add(
    'pause',
    'Pauses the schedule of a job on all nodes within one poll. Existing runs continue; a deploy does not resume it.',
  )
  add('resume', 'Resumes the schedule of a paused job. Missed ticks are treated as after an outage.')
}
