import { Counter, type Registry } from 'prom-client'
import type { Events } from '../events.ts'

/** Counts changes and refused requests. Returns functions that stop counting. */
export function countChanges(events: Events, register: Registry): (() => void)[] {
  const registers = [register]
  const made = new Counter({
    name: 'piko_change_total',
    help: 'Changes that people and programs made through this process, by verb and outcome.',
    labelNames: ['verb', 'outcome'],
    registers,
  })
  const refused = new Counter({
    name: 'piko_change_refused_total',
    help: 'Changes that were requested from this process and refused, by verb and code of the error.',
    labelNames: ['verb', 'code'],
    registers,
  })
  const denied = new Counter({
    name: 'piko_http_refused_total',
    help: 'Requests to the API that were refused before they were carried out, by code of the error.',
    labelNames: ['code'],
    registers,
  })
  return [
    events.on('change.recorded', ({ verb, outcome }) => made.inc({ verb, outcome })),
    events.on('change.refused', ({ verb, code }) => refused.inc({ verb, code })),
    events.on('request.refused', ({ code }) => denied.inc({ code })),
  ]
}
