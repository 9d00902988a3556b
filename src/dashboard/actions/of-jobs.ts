import { part } from '../shared/api.ts'
import { go } from '../shared/router.ts'
import { type Action, says } from './action.tsx'

/** Opens the page of what an action has stored, such as `/runs/17`, if its answer has an id. */
export function openStored(place: string): (answer: unknown) => void {
  return (answer) => {
    if (typeof answer === 'object' && answer !== null && 'id' in answer) go(`${place}/${String(answer.id)}`)
  }
}

export function pauseJob(jobId: string): Action {
  return {
    title: `Pause ${jobId}`,
    request: { method: 'POST', path: `/jobs/${part(jobId)}/pause` },
    cli: ['jobs', 'pause', jobId],
    preview: says(
      'No tick starts a run on any node, even after deploys, until you resume it. Queued and running runs continue.',
    ),
  }
}

export function resumeJob(jobId: string): Action {
  return {
    title: `Resume ${jobId}`,
    request: { method: 'POST', path: `/jobs/${part(jobId)}/resume` },
    cli: ['jobs', 'resume', jobId],
    preview: says('The schedule continues on all nodes. Missed ticks and windows are treated as after an outage.'),
  }
}

/** The action that starts a run without input. */
export function startRun(jobId: string): Action {
  return {
    title: `Run ${jobId} now`,
    request: { method: 'POST', path: `/jobs/${part(jobId)}/runs`, body: {} },
    isNewRun: true,
    cli: ['run', jobId],
    preview: says(`Stores one run of ${jobId} without input. A node executes it as soon as the limits allow it.`),
    onDone: openStored('/runs'),
  }
}

export function clearSchedule(jobId: string): Action {
  return {
    title: `Clear the override of ${jobId}`,
    request: { method: 'DELETE', path: `/jobs/${part(jobId)}/schedule` },
    cli: ['schedules', 'clear', jobId],
    preview: says('The schedule that the code declares is in force again, on all nodes within one poll.'),
  }
}
