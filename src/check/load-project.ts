import type { Project } from '../catalogue/catalogue';
import { ConfigError, loadConfig } from '../config/load';
import { ownCatalogue } from '../packs/own-cards';
import { crossCheck } from './cross-check';

/** Reads a configuration with the runbooks that it can name. Throws ConfigError with every problem found. */
export function loadProject(path: string): Project {
  const project: Project = { ...loadConfig(path), catalogue: ownCatalogue };
  const problems = crossCheck(project);
  if (problems.length > 0) throw new ConfigError(project.file, problems);
  return project;
}
