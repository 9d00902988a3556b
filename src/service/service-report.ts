import { messageOf } from '../errors-read.ts'
import { formatMs } from '../time/duration.ts'
import type { Service } from './service.ts'

/** Returns a string with every service of the tree (state, restarts, tasks and timers) and with what keeps the process alive. */
export function serviceReport(root: Service): string {
  return [...serviceLines(root), `active: ${activeResources()}`].join('\n')
}

/** Returns the paths of services that are neither new nor stopped. */
export function unstopped(root: Service): string[] {
  const own = root.state === 'stopped' || root.state === 'init' ? [] : [`${root.path} (${root.state})`]
  return [...own, ...root.children.flatMap(unstopped)]
}

function serviceLines(service: Service): string[] {
  const indent = '  '.repeat(service.depth)
  const restarts =
    service.restarts > 0 ? `, ${service.restarts} ${service.restarts === 1 ? 'restart' : 'restarts'}` : ''
  const crash = service.crashReason ? `, crashed: ${messageOf(service.crashReason)}` : ''
  return [
    `${indent}${service.name}: ${service.state}${restarts}${crash}`,
    ...service.tasks.map((task) => `${indent}  - ${task.kind} ${task.name}, for ${formatMs(task.runningMs)}`),
    ...service.timerStats.map(
      (timer) =>
        `${indent}  - ${timer.name} (${timer.schedule}): fired ${timer.fired}, skipped ${timer.skipped}, ` +
        `at most ${formatMs(timer.maxDriftMs)} late`,
    ),
    ...service.children.flatMap(serviceLines),
  ]
}

/** Returns the resources that keep the process alive, as text: `Timeout x3, TCPServerWrap`. */
function activeResources(): string {
  const counts = new Map<string, number>()
  for (const name of process.getActiveResourcesInfo()) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts].map(([name, count]) => (count === 1 ? name : `${name} x${count}`)).join(', ') || 'nothing'
}
