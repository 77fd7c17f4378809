using System.Collections;
using System.Collections.Immutable;
using System.Collections.ObjectModel;
using System.Diagnostics.CodeAnalysis;

namespace MobileIntegration.LocalHost.ApplicationModel;

/// <summary>The base of all resources.</summary>
public abstract class Resource : IResource
{
    protected Resource(string name) => Name = name;

    public virtual string Name { get; }

    public virtual ResourceAnnotationCollection Annotations { get; } = [];
}

/// <summary>The annotations of a resource. Reading is safe while another thread adds: an enumeration sees the list as it was when it began.</summary>
public sealed class ResourceAnnotationCollection : Collection<IResourceAnnotation>
{
    public ResourceAnnotationCollection()
        : base(new SnapshotList())
    {
    }

    private sealed class SnapshotList : IList<IResourceAnnotation>
    {
        private ImmutableList<IResourceAnnotation> _items = [];

        public int Count => _items.Count;

        public bool IsReadOnly => false;

        public IResourceAnnotation this[int index]
        {
            get => _items[index];
            set => ImmutableInterlocked.Update(ref _items, (items, at) => items.SetItem(at, value), index);
        }

        public void Add(IResourceAnnotation item) => ImmutableInterlocked.Update(ref _items, (items, added) => items.Add(added), item);

        public void Insert(int index, IResourceAnnotation item) =>
            ImmutableInterlocked.Update(ref _items, (items, added) => items.Insert(Math.Min(index, items.Count), added), item);

        public void Clear() => ImmutableInterlocked.Update(ref _items, items => items.Clear());

        public bool Contains(IResourceAnnotation item) => _items.Contains(item);

        public void CopyTo(IResourceAnnotation[] array, int arrayIndex) => _items.CopyTo(array, arrayIndex);

        public int IndexOf(IResourceAnnotation item) => _items.IndexOf(item);

        public bool Remove(IResourceAnnotation item) => ImmutableInterlocked.Update(ref _items, (items, gone) => items.Remove(gone), item);

        public void RemoveAt(int index) => ImmutableInterlocked.Update(ref _items, (items, at) => items.RemoveAt(at), index);

        public IEnumerator<IResourceAnnotation> GetEnumerator() => ((IEnumerable<IResourceAnnotation>)_items).GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}

/// <summary>All resources of an application.</summary>
[SuppressMessage("Naming", "CA1710", Justification = "Aspire's name.")]
public interface IResourceCollection : IList<IResource>
{
    /// <summary>Finds a resource by its name, whatever the case.</summary>
    bool TryGetByName(string name, [NotNullWhen(true)] out IResource? resource);
}

internal sealed class ResourceCollection : Collection<IResource>, IResourceCollection
{
    public ResourceCollection()
    {
    }

    public ResourceCollection(IEnumerable<IResource> resources)
        : base([.. resources])
    {
    }

    public bool TryGetByName(string name, [NotNullWhen(true)] out IResource? resource)
    {
        resource = this.FirstOrDefault(other => string.Equals(other.Name, name, StringComparison.OrdinalIgnoreCase));
        return resource is not null;
    }

    protected override void InsertItem(int index, IResource item)
    {
        if (TryGetByName(item.Name, out var taken))
        {
            throw new DistributedApplicationException(
                $"Two resources are called '{taken.Name}'. Resource names are unique whatever the case: rename the {item.GetType().Name} or the {taken.GetType().Name}.");
        }

        base.InsertItem(index, item);
    }
}

/// <summary>The resources of a built application.</summary>
public class DistributedApplicationModel
{
    public DistributedApplicationModel(IResourceCollection resources) => Resources = resources;

    public DistributedApplicationModel(IEnumerable<IResource> resources) => Resources = new ResourceCollection(resources);

    public IResourceCollection Resources { get; }
}

/// <summary>What happens to annotations of the same type that are there already.</summary>
public enum ResourceAnnotationMutationBehavior
{
    Append = 0,
    Replace = 1,
}

/// <summary>Says more about a resource. Covariant: a builder of a database is a builder of a resource with a connection string.</summary>
public interface IResourceBuilder<out T>
    where T : IResource
{
    IDistributedApplicationBuilder ApplicationBuilder { get; }

    T Resource { get; }

    IResourceBuilder<T> WithAnnotation<TAnnotation>(ResourceAnnotationMutationBehavior behavior = ResourceAnnotationMutationBehavior.Append)
        where TAnnotation : IResourceAnnotation, new() => WithAnnotation(new TAnnotation(), behavior);

    IResourceBuilder<T> WithAnnotation<TAnnotation>(TAnnotation annotation, ResourceAnnotationMutationBehavior behavior = ResourceAnnotationMutationBehavior.Append)
        where TAnnotation : IResourceAnnotation;
}

internal sealed class ResourceBuilder<T>(IDistributedApplicationBuilder applicationBuilder, T resource) : IResourceBuilder<T>
    where T : IResource
{
    public IDistributedApplicationBuilder ApplicationBuilder => applicationBuilder;

    public T Resource => resource;

    public IResourceBuilder<T> WithAnnotation<TAnnotation>(TAnnotation annotation, ResourceAnnotationMutationBehavior behavior)
        where TAnnotation : IResourceAnnotation
    {
        if (behavior == ResourceAnnotationMutationBehavior.Replace)
        {
            foreach (var old in resource.Annotations.OfType<TAnnotation>().ToList())
            {
                resource.Annotations.Remove(old);
            }
        }

        resource.Annotations.Add(annotation);
        return this;
    }
}
