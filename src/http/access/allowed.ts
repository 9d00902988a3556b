import { mayAct, type Actor, type Role } from '../../access/actor.ts'
import { mayReach } from '../../access/job-globs.ts'
import type { JobOf } from '../../api/actor.ts'
import type { Access } from '../../operations/tokens/access.ts'
import { denied } from './authenticate.ts'

/** Refuses an actor whose role is too low. @throws PikoError `ACCESS_DENIED` */
export function assertRole(actor: Actor, role: Role): void {
  if (mayAct(actor.role, role)) return
  throw denied(
    'role',
    `this needs the role ${role}; the token ${JSON.stringify(actor.name)} has the role ${actor.role}`,
    {
      needs: role,
      has: actor.role,
    },
  )
}

/**
 * Refuses a request of a limited token, unless the request is only about jobs to which the token is limited. The message is the same for
 * all such requests, so that it does not reveal which runs exist.
 *
 * @throws PikoError `ACCESS_DENIED`
 */
export async function assertJobs(actor: Actor, about: JobOf | undefined, access: Access): Promise<void> {
  if (actor.jobs === undefined) return
  const jobIds = about === undefined ? [] : 'jobs' in about ? about.jobs : [await jobIdOf(about, access)]
  if (jobIds.length > 0 && jobIds.every((jobId) => jobId !== undefined && mayReach(actor, jobId))) return
  throw denied(
    'jobs',
    `the token ${JSON.stringify(actor.name)} is limited to the jobs ${actor.jobs.join(', ')}; this request must name one of them`,
    { jobs: actor.jobs },
  )
}

async function jobIdOf(
  about: Exclude<JobOf, { readonly jobs: readonly string[] }>,
  access: Access,
): Promise<string | undefined> {
  if ('job' in about) return about.job
  return access.jobOf(about)
}
