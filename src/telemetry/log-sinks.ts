import type { Events } from '../events.ts'
import type { Logger } from '../logger.ts'
import { formatMs } from '../time/duration.ts'

/** Logs the events of sinks. Returns the functions that stop the logging. */
export function logSinks(events: Events, log: Logger): (() => void)[] {
  const rowsOf = (count: number): string => (count === 1 ? '1 row' : `${count} rows`)
  return [
    events.on('sink.spilling', ({ sink, error }) => {
      const words = `the target of sink ${sink} is down; its batches go to disk until it is back`
      log.error({ piko_event: 'sink.spilling', sink, err: error }, words)
    }),
    events.on('sink.drained', ({ sink, rows, outageMs }) => {
      const words = `the target of sink ${sink} is back after ${formatMs(outageMs)} and has received all ${rowsOf(rows)} from disk`
      log.info({ piko_event: 'sink.drained', sink, rows, outage_ms: Math.round(outageMs) }, words)
    }),
    events.on('sink.adopted', ({ sink, segments, bytes }) => {
      const words = `a process that has ended left ${bytes} bytes of sink ${sink} on disk; this node delivers them`
      log.warn({ piko_event: 'sink.adopted', sink, segments, bytes }, words)
    }),
    events.on('sink.damaged', ({ sink, file, problems, lostBytes }) => {
      const words = `a segment of sink ${sink} on disk is damaged, and about ${lostBytes} bytes are lost; its other batches were delivered`
      log.error(
        { piko_event: 'sink.damaged', sink, file, problems: problems.slice(0, 10), lost_bytes: lostBytes },
        words,
      )
    }),
    events.on('sink.superseded', ({ sink, jobId, runId, rows, error }) => {
      const words = `${rowsOf(rows)} of sink ${sink} from disk were dropped, because a newer run has written their window`
      log.warn({ piko_event: 'sink.superseded', sink, job_id: jobId, run_id: runId, rows, err: error }, words)
    }),
    events.on('sink.dead', ({ sink, jobId, runId, rows, reason }) => {
      const words = `the target of sink ${sink} refused ${rowsOf(rows)}; piko sinks dead lists them`
      log.warn({ piko_event: 'sink.dead', sink, job_id: jobId, run_id: runId, rows, reason }, words)
    }),
  ]
}
