/** @file Images are pinned. */
import { nameOf, podTemplates } from '../manifest.ts';
import type { Rule } from '../policy.ts';

/** A tag that names a version, or a digest; never `latest`, and nothing that is only a name. */
export const imagesPinned: Rule = (manifests) =>
  podTemplates(manifests).flatMap(({ owner, containers }) =>
    containers
      .filter(({ image = '' }) => !/@sha256:[0-9a-f]{64}$/.test(image) && !/:v?\d+\.\d+\.\d+[\w.-]*$/.test(image))
      .map(({ name, image }) => `${nameOf(owner)}/${name}: image "${image}" names no version`),
  );
