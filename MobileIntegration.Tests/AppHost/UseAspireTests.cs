using System.Diagnostics;
using System.Text.Json;

namespace MobileIntegration.Tests.AppHost;

/// <summary>The switch UseAspire, by what MSBuild makes of the project files: nothing is restored or built.</summary>
public sealed class UseAspireTests
{
    private static readonly string[] ServiceProjects = ["Gateway", "FrontendServices", "IntegrationServices", "MobileServices", "BackendSystems"];

    [Theory]
    [InlineData(
        "MobileIntegration.AppHost",
        new[] { "Aspire.Hosting.AppHost", "Aspire.Hosting.PostgreSQL", "Aspire.Hosting.Redis" },
        new[] { "Aspire.Hosting", "Aspire.Hosting.ApplicationModel" })]
    [InlineData(
        "MobileIntegration.ServiceDefaults",
        new[] { "Aspire.Npgsql", "Aspire.StackExchange.Redis", "Aspire.StackExchange.Redis.DistributedCaching", "Aspire.StackExchange.Redis.OutputCaching" },
        new string[0])]
    [InlineData(
        "MobileIntegration.Tests",
        new[] { "Aspire.Hosting.Testing" },
        new[] { "Aspire.Hosting", "Aspire.Hosting.ApplicationModel", "Aspire.Hosting.Testing" })]
    public async Task With_UseAspire_a_project_takes_the_packages_of_Aspire_and_nothing_of_LocalHost(string project, string[] packages, string[] usings)
    {
        var aspire = await EvaluateAsync(project, "-p:UseAspire=true");
        Assert.Equal(packages, aspire.Packages.Where(IsAspire).Order(StringComparer.Ordinal));
        Assert.Equal(usings, aspire.Usings.Where(IsAspire).Order(StringComparer.Ordinal));
        Assert.DoesNotContain(aspire.All, IsLocalHost);
        Assert.All(packages, package => Assert.StartsWith("13.5.", aspire.Versions[package], StringComparison.Ordinal));

        var local = await EvaluateAsync(project);
        Assert.DoesNotContain(local.All, IsAspire);
        Assert.Equal(
            usings.Select(name => name.Replace("Aspire.Hosting", "MobileIntegration.LocalHost", StringComparison.Ordinal)),
            local.Usings.Where(IsLocalHost).Order(StringComparer.Ordinal));
        Assert.Equal(usings.Length > 0, local.Projects.Contains("MobileIntegration.LocalHost"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("-p:UseAspire=true")]
    public async Task The_services_name_neither_host(string property)
    {
        foreach (var project in ServiceProjects)
        {
            var evaluated = await EvaluateAsync(project, property);
            Assert.DoesNotContain(evaluated.All, name => IsAspire(name) || IsLocalHost(name));
        }
    }

    [Fact]
    public async Task With_UseAspire_the_dashboard_comes_as_a_package_and_that_it_does_fails_no_build()
    {
        var aspire = await EvaluateAsync("MobileIntegration.AppHost", "-p:UseAspire=true");
        Assert.Equal("false", aspire.Properties["AspireUseCliBundle"]);
        Assert.Contains("ASPIRE010", aspire.Properties["NoWarn"].Split(';'));
    }

    [Fact]
    public async Task With_UseAspire_no_file_that_is_compiled_needs_LocalHost_by_name()
    {
        foreach (var project in (string[])[.. ServiceProjects, "MobileIntegration.AppHost", "MobileIntegration.ServiceDefaults", "MobileIntegration.Tests"])
        {
            var evaluated = await EvaluateAsync(project, "-p:UseAspire=true");
            Assert.NotEmpty(evaluated.Files);
            foreach (var file in evaluated.Files.Where(file => Path.GetFileName(file) != $"{nameof(UseAspireTests)}.cs"))
            {
                Assert.DoesNotContain("MobileIntegration.LocalHost", await File.ReadAllTextAsync(file), StringComparison.Ordinal);
            }
        }
    }

    private static bool IsAspire(string name) => name.StartsWith("Aspire.", StringComparison.Ordinal);

    private static bool IsLocalHost(string name) => name.StartsWith("MobileIntegration.LocalHost", StringComparison.Ordinal);

    private static async Task<Evaluated> EvaluateAsync(string project, params string[] properties)
    {
        var root = RepositoryRoot();
        var start = new ProcessStartInfo("dotnet")
        {
            WorkingDirectory = root,
            RedirectStandardOutput = true,
            ArgumentList =
            {
                "msbuild", Path.Combine(root, project, $"{project}.csproj"), "-nodeReuse:false", "-p:AspireSdkImport=false",
                "-getItem:PackageReference,PackageVersion,ProjectReference,Using,Compile",
                "-getProperty:AspireUseCliBundle,NoWarn",
            },
        };
        foreach (var property in properties.Where(property => property.Length > 0))
        {
            start.ArgumentList.Add(property);
        }
        // What the test runner's own MSBuild left behind must not speak to this one.
        start.Environment.Remove("MSBUILDEXTENSIONSPATH");
        start.Environment.Remove("MSBuildSDKsPath");
        start.Environment.Remove("UseAspire");
        using var process = Process.Start(start)!;
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        var output = await process.StandardOutput.ReadToEndAsync(patience.Token);
        await process.WaitForExitAsync(patience.Token);
        Assert.True(process.ExitCode is 0, output);
        return new(JsonDocument.Parse(output).RootElement.GetProperty("Items"), JsonDocument.Parse(output).RootElement.GetProperty("Properties"));
    }

    private static string RepositoryRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "MobileIntegration.sln")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("The tests do not run inside the repository.");
        }
        return folder.FullName;
    }

    private sealed class Evaluated(JsonElement items, JsonElement properties)
    {
        public Dictionary<string, string> Properties { get; } = properties.EnumerateObject().ToDictionary(one => one.Name, one => one.Value.GetString()!);

        public string[] Packages { get; } = Read(items, "PackageReference", "Identity");

        public string[] Projects { get; } = Read(items, "ProjectReference", "Filename");

        public string[] Usings { get; } = Read(items, "Using", "Identity");

        public string[] Files { get; } = Read(items, "Compile", "FullPath");

        public Dictionary<string, string> Versions { get; } = items.GetProperty("PackageVersion").EnumerateArray()
            .ToDictionary(item => item.GetProperty("Identity").GetString()!, item => item.GetProperty("Version").GetString()!);

        public IEnumerable<string> All => [.. Packages, .. Projects, .. Usings];

        private static string[] Read(JsonElement items, string type, string metadata) =>
            [.. items.GetProperty(type).EnumerateArray().Select(item => item.GetProperty(metadata).GetString()!)];
    }
}
