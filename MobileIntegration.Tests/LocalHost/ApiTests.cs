using System.Reflection;

namespace MobileIntegration.Tests.LocalHost;

/// <summary>
/// Source that compiles against LocalHost compiles against Aspire 13.5: everything public in the namespaces that mirror Aspire's exists there with the
/// same signature. The signatures are those of Aspire's packages, with its namespaces replaced by LocalHost's.
/// </summary>
public class ApiTests
{
    private const string Root = "MobileIntegration.LocalHost";

    private static readonly string[] Namespaces =
        [Root, $"{Root}.ApplicationModel", $"{Root}.Eventing", $"{Root}.Lifecycle", $"{Root}.Postgres", $"{Root}.Redis", $"{Root}.Testing"];

    // What only LocalHost has; AppHost.cs must not use it.
    private static readonly HashSet<string> LocalHostOnly = [nameof(IProjectOutput)];

    public static TheoryData<string> PublicTypes => [.. Types.Select(type => type.FullName!)];

    private static IEnumerable<Type> Types => typeof(DistributedApplication).Assembly.GetTypes()
        .Where(type => (type.IsPublic || type.IsNestedPublic) && Namespaces.Contains(type.Namespace) && !LocalHostOnly.Contains(type.Name))
        .OrderBy(type => type.FullName, StringComparer.Ordinal);

    [Theory]
    [MemberData(nameof(PublicTypes))]
    public void Every_public_member_exists_in_Aspire_with_the_same_signature(string typeName)
    {
        var type = typeof(DistributedApplication).Assembly.GetType(typeName, throwOnError: true)!;
        var (declaration, bases) = ApiPrinter.Header(type);
        Assert.True(Aspire.TryGetValue(declaration, out var expected), $"Aspire has no '{declaration}'.");

        AssertNone(bases.Except(expected.Bases), "Aspire's type does not have the base");
        AssertNone(new ApiPrinter().Members(type).Except(expected.Members), "Aspire's type does not have the member");
    }

    [Fact]
    public void Every_recorded_signature_is_there()
    {
        var types = Types.ToDictionary(type => ApiPrinter.Header(type).Declaration);
        var missing = Aspire.SelectMany(recorded => types.TryGetValue(recorded.Key, out var type)
            ? recorded.Value.Members.Except(new ApiPrinter().Members(type)).Select(member => $"{recorded.Key}: {member}")
            : [recorded.Key]);
        AssertNone(missing, "LocalHost does not have");
    }

    [Fact]
    public void A_builder_of_a_database_is_a_builder_of_any_resource_it_is()
    {
        var parameter = typeof(IResourceBuilder<>).GetGenericArguments()[0];
        Assert.Equal(GenericParameterAttributes.Covariant, parameter.GenericParameterAttributes & GenericParameterAttributes.VarianceMask);
        Assert.True(typeof(IResourceBuilder<IResourceWithConnectionString>).IsAssignableFrom(typeof(IResourceBuilder<PostgresDatabaseResource>)));
    }

    private static void AssertNone(IEnumerable<string> lines, string problem)
    {
        var all = string.Join(Environment.NewLine, lines);
        Assert.True(all.Length == 0, $"{problem}: {all}");
    }

    private static Dictionary<string, (HashSet<string> Bases, HashSet<string> Members)> Aspire { get; } = Read();

    private static Dictionary<string, (HashSet<string> Bases, HashSet<string> Members)> Read()
    {
        Dictionary<string, (HashSet<string> Bases, HashSet<string> Members)> types = [];
        HashSet<string> members = [];
        foreach (var line in File.ReadLines(Path.Combine(AppContext.BaseDirectory, "LocalHost", "aspire-13.5-api.txt")))
        {
            if (line.StartsWith("    ", StringComparison.Ordinal))
            {
                members.Add(line.Trim());
            }
            else if (line.Length > 0 && line[0] != '#')
            {
                var (declaration, bases) = line.Split(" : ", 2) is [var left, var right] ? (left, right) : (line, "");
                types.Add(declaration, (SplitBases(bases), members = []));
            }
        }

        return types;
    }

    // Commas inside angle brackets do not separate base types.
    private static HashSet<string> SplitBases(string bases)
    {
        HashSet<string> names = [];
        var (depth, start) = (0, 0);
        for (var i = 0; i <= bases.Length; i++)
        {
            if (i == bases.Length || (bases[i] == ',' && depth == 0))
            {
                names.Add(bases[start..i].Trim());
                start = i + 1;
                continue;
            }

            depth += bases[i] switch { '<' => 1, '>' => -1, _ => 0 };
        }

        return names;
    }
}
