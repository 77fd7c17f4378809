namespace MobileIntegration.LocalHost.ApplicationModel;

/// <summary>What a model must keep to, checked before anything starts.</summary>
internal static class ModelRules
{
    private const int MaxNameLength = 64;

    /// <exception cref="DistributedApplicationException">The name is not valid.</exception>
    public static void ThrowIfNameInvalid(IResource resource)
    {
        var name = resource.Name;
        var problem = name switch
        {
            null or "" => "it is empty",
            { Length: > MaxNameLength } => $"it has {name.Length} characters and may have {MaxNameLength}",
            _ when !char.IsAsciiLetter(name[0]) => "it must start with a letter",
            _ when name.FirstOrDefault(character => !char.IsAsciiLetterOrDigit(character) && character != '-') is var wrong and not '\0' =>
                $"'{wrong}' is not allowed: only ASCII letters, digits and hyphens are",
            _ when name.Contains("--", StringComparison.Ordinal) => "two hyphens in a row are not allowed",
            _ when name.EndsWith('-') => "it must not end with a hyphen",
            _ => null,
        };
        if (problem is not null)
        {
            throw new DistributedApplicationException($"'{name}' is not a valid name for a {resource.GetResourceType()}: {problem}. Rename it.");
        }
    }

    /// <exception cref="DistributedApplicationException">The model cannot run.</exception>
    public static void ThrowIfModelInvalid(IResourceCollection resources)
    {
        foreach (var resource in resources)
        {
            CheckEndpoints(resource);
            CheckReferences(resource);
        }

        CheckCycles(resources);
    }

    private static void CheckEndpoints(IResource resource)
    {
        var replicas = resource.GetReplicaCount();
        HashSet<string> names = new(StringComparer.OrdinalIgnoreCase);
        foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>())
        {
            var what = $"Endpoint '{endpoint.Name}' of '{resource.Name}'";
            if (!names.Add(endpoint.Name))
            {
                throw new DistributedApplicationException($"{what} is there twice: give one of the two another name.");
            }

            if (replicas > 1 && !endpoint.IsProxied)
            {
                throw new DistributedApplicationException($"{what} has no proxy, but {replicas} replicas cannot listen on one port: remove isProxied: false or WithReplicas({replicas}).");
            }

            if (replicas > 1 && endpoint.ExplicitTargetPort is { } target)
            {
                throw new DistributedApplicationException($"{what} has the fixed target port {target}, but {replicas} replicas cannot listen on one port: remove targetPort or WithReplicas({replicas}).");
            }

            if (resource is not ContainerResource && endpoint.IsProxied && endpoint.Port is { } port && port == endpoint.ExplicitTargetPort)
            {
                throw new DistributedApplicationException($"{what} has {port} as port and as target port, but its proxy and the process cannot both listen there: remove targetPort, or add isProxied: false.");
            }

            if (new[] { endpoint.Port, endpoint.TargetPort }.FirstOrDefault(number => number is < 1 or > 65535) is { } wrong)
            {
                throw new DistributedApplicationException($"{what} has the port {wrong}: choose one from 1 to 65535, or leave it out to have one chosen.");
            }
        }
    }

    private static void CheckReferences(IResource resource)
    {
        var named = resource.Annotations.OfType<EndpointReferenceAnnotation>()
            .SelectMany(reference => reference.EndpointNames.Select(name => reference.Resource.GetEndpoint(name)));
        foreach (var endpoint in named.Concat(resource.Annotations.OfType<UsedEndpointAnnotation>().Select(used => used.Endpoint)))
        {
            if (!endpoint.Exists)
            {
                throw new DistributedApplicationException(
                    $"'{resource.Name}' refers to endpoint '{endpoint.EndpointName}' of '{endpoint.Resource.Name}', which has no such endpoint. {endpoint.KnownEndpoints()}");
            }
        }
    }

    private static void CheckCycles(IResourceCollection resources)
    {
        HashSet<IResource> done = [];
        List<IResource> path = [];
        foreach (var resource in resources)
        {
            Visit(resource);
        }

        void Visit(IResource resource)
        {
            var start = path.IndexOf(resource);
            if (start >= 0)
            {
                var cycle = string.Join(" -> ", path.Skip(start).Append(resource).Select(step => step.Name));
                throw new DistributedApplicationException(
                    $"Nothing in {cycle} could ever start, because each waits for the next: remove a wait from it, such as WaitFor({resource.Name}) on '{path[^1].Name}'.");
            }

            if (!done.Add(resource))
            {
                return;
            }

            path.Add(resource);
            foreach (var next in WaitedFor(resource))
            {
                Visit(next);
            }

            path.RemoveAt(path.Count - 1);
        }
    }

    private static IEnumerable<IResource> WaitedFor(IResource resource)
    {
        foreach (var wait in resource.Annotations.OfType<WaitAnnotation>())
        {
            yield return wait.Resource;
        }

        if (resource is IResourceWithParent { Parent: var parent })
        {
            yield return parent;
        }
    }
}
