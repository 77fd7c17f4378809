using System.Collections.Concurrent;
using System.Reflection;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.OpenApi;

namespace MobileIntegration.ServiceDefaults;

/// <summary>
/// The OpenAPI 3.1 document of the process at <see cref="Path"/>: every operation of every slice, with the name of its slice, from which the gateway
/// makes the one that is seen from outside.
/// </summary>
public static class ApiDocument
{
    public const string Path = "/openapi/v1.json";

    /// <summary>The extension of an operation that names its slice.</summary>
    public const string ServiceExtension = "x-service";

    internal static void AddApiDocument(this IHostApplicationBuilder builder) => builder.Services.AddOpenApi(options =>
    {
        var names = new SchemaNames();
        options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_1;
        options.CreateSchemaReferenceId = names.Of;
        options.AddSchemaTransformer(NumbersAreNumbers);
        options.AddOperationTransformer(DescribeOperation);
        options.AddDocumentTransformer((document, _, _) =>
        {
            // Where it is reached is the gateway's business.
            document.Servers?.Clear();
            return Task.CompletedTask;
        });
    });

    /// <summary>Adds the operations of an OpenAPI document in JSON, for what is no endpoint of ours: those of a library.</summary>
    /// <param name="resource">The document's name among the resources of <paramref name="assembly"/>; each of its operations names its slice.</param>
    public static void DescribeAlso(this IHostApplicationBuilder builder, Assembly assembly, string resource)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.Configure<OpenApiOptions>("v1", options => options.AddDocumentTransformer(async (document, _, ct) =>
        {
            await using var stream = assembly.GetManifestResourceStream(resource)!;
            using var reader = new StreamReader(stream);
            var more = OpenApiDocument.Parse(await reader.ReadToEndAsync(ct), "json").Document!;
            foreach (var (path, item) in more.Paths)
            {
                document.Paths[path] = item;
            }
            foreach (var (name, schema) in more.Components?.Schemas ?? new Dictionary<string, IOpenApiSchema>())
            {
                document.AddComponent(name, schema);
            }
        }));
    }

    /// <summary>All operations of the slice tell whose they are, and the problems that every one of them may answer.</summary>
    internal static RouteGroupBuilder Describe(this RouteGroupBuilder group, Slice slice) =>
        group.WithMetadata(slice).ProducesProblem(StatusCodes.Status500InternalServerError);

    /// <summary>Tells of a header that the operation reads itself.</summary>
    public static RouteHandlerBuilder DescribeHeader(this RouteHandlerBuilder endpoint, string name, string description, bool required = false) =>
        endpoint.WithMetadata(new DescribedHeader(name, description, required));

    /// <summary>The operation needs the header <c>Idempotency-Key</c>, and checks it itself.</summary>
    public static RouteHandlerBuilder DescribeIdempotencyKey(this RouteHandlerBuilder endpoint) => endpoint.DescribeHeader(
        IdempotencyKey.Header, "The same one with every retry; 1 to 255 printable ASCII characters, such as a UUID.", required: true);

    private static Task DescribeOperation(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken ct)
    {
        var metadata = context.Description.ActionDescriptor.EndpointMetadata;
        if (metadata.OfType<Slice>().FirstOrDefault() is { } slice)
        {
            (operation.Extensions ??= new Dictionary<string, IOpenApiExtension>())[ServiceExtension] = new JsonNodeExtension(slice.Name);
        }
        foreach (var header in metadata.OfType<DescribedHeader>())
        {
            (operation.Parameters ??= []).Add(new OpenApiParameter
            {
                Name = header.Name,
                In = ParameterLocation.Header,
                Required = header.Required,
                Description = header.Description,
                Schema = new OpenApiSchema { Type = JsonSchemaType.String },
            });
        }
        return Task.CompletedTask;
    }

    /// <summary>That digits in quotes are read as well is no promise, and generated clients would have two types for each number.</summary>
    private static Task NumbersAreNumbers(OpenApiSchema schema, OpenApiSchemaTransformerContext context, CancellationToken ct)
    {
        if (schema.Type is { } type && type.HasFlag(JsonSchemaType.String) && (type.HasFlag(JsonSchemaType.Integer) || type.HasFlag(JsonSchemaType.Number)))
        {
            schema.Type = type & ~JsonSchemaType.String;
            schema.Pattern = null;
        }
        return Task.CompletedTask;
    }

    /// <summary>A type is called by its own name; two types of one name would take each other's place in the document.</summary>
    private sealed class SchemaNames
    {
        private readonly ConcurrentDictionary<string, Type> _taken = new();

        public string? Of(JsonTypeInfo type)
        {
            var name = OpenApiOptions.CreateDefaultSchemaReferenceId(type);
            var one = Nullable.GetUnderlyingType(type.Type) ?? type.Type;
            if (name is not null && _taken.GetOrAdd(name, one) is var other && other != one)
            {
                throw new InvalidOperationException($"Both {one} and {other} are called '{name}' in the OpenAPI document. Rename one of them.");
            }
            return name;
        }
    }

    private sealed record DescribedHeader(string Name, string Description, bool Required);
}
